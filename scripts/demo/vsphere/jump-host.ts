import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2, { type Connection } from 'ssh2';
import { fingerprint } from '../../../src/guest/open.ts';
import { generateKeys } from '../../../src/machines/local/keys.ts';
import { authenticate, parsePublicKey } from '../../../src/machines/local/ssh-server.ts';
import type { GuestHost } from './guests.ts';

/** The way into the isolated network, as the site file names it. */
export interface JumpHost extends AsyncDisposable {
  host: string;
  port: number;
  user: string;
  privateKeyFile: string;
  hostKey: string;
}

/** A machine with one leg where clona is and one in the isolated network. It forwards streams of SSH, and runs nothing. */
export async function openJumpHost(guests: GuestHost, folder: string): Promise<JumpHost> {
  const own = generateKeys('jump');
  const client = generateKeys('clona');
  const privateKeyFile = join(folder, 'jump-key');
  await writeFile(privateKeyFile, client.private, { mode: 0o600 });
  const keys = [parsePublicKey(client.public)];
  const user = 'jump';
  const clients = new Set<Connection>();
  const server = new ssh2.Server({ hostKeys: [own.private] }, (connection) => {
    (connection as Connection & { setNoDelay: (on: boolean) => unknown }).setNoDelay(true); // missing in the types
    clients.add(connection);
    connection.on('authentication', (context) => authenticate(context, user, keys));
    connection.on('error', () => {});
    connection.on('close', () => clients.delete(connection));
    connection.on('tcpip', (accept, reject, { destIP }) => {
      const socket = guests.dialInside(destIP);
      if (socket === undefined) return reject();
      socket.once('error', () => socket.destroy());
      const channel = accept();
      channel.on('error', () => socket.destroy());
      channel.once('close', () => socket.destroy());
      socket.once('close', () => channel.destroy());
      socket.pipe(channel).pipe(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    host: '127.0.0.1',
    port: typeof address === 'object' && address !== null ? address.port : 0,
    user,
    privateKeyFile,
    hostKey: fingerprint(parsePublicKey(own.public).getPublicSSH()),
    async [Symbol.asyncDispose]() {
      for (const connection of clients) connection.end();
      server.close();
      await once(server, 'close');
    },
  };
}
