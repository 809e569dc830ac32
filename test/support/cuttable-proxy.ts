import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { joinSockets } from '../../scripts/demo/vsphere/join-sockets.ts';

/** A way to a server that a test can cut: every connection goes, and no new one comes until it is healed. */
export interface CuttableProxy extends AsyncDisposable {
  /** host:port */
  server: string;
  cut(): void;
  heal(): void;
  /** Ends the connections there are; new ones come at once, as after a restart. */
  drop(): void;
}

export async function startCuttableProxy(target: string): Promise<CuttableProxy> {
  const [host, port] = target.split(':');
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    joinSockets(client, connect(Number(port), host), sockets);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    server: typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : '',
    drop,
    cut() {
      isCut = true;
      drop();
    },
    heal() {
      isCut = false;
    },
    async [Symbol.asyncDispose]() {
      drop();
      server.close();
      await once(server, 'close');
    },
  };
}
