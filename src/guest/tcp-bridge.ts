import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { Guest } from './guest.ts';

/** Disposing ends its connections and closes the port; the guest stays the caller's. */
export interface TcpBridge extends AsyncDisposable {
  host: string;
  port: number;
}

/**
 * A port of this host's loopback whose connections lead to one in the guest, whatever network the guest has, for drivers
 * that know TCP alone. `open` is asked with every connection; `ownsGuests`: the guest is the connection's own, is closed
 * with it, and nothing waits for the bridge. A connection that cannot be carried on is closed.
 */
export async function openTcpBridge(
  open: () => Promise<Guest>,
  to: { host: string; port: number },
  signal: AbortSignal,
  ownsGuests = false,
): Promise<TcpBridge> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    sockets.add(near);
    near.on('error', () => {});
    near.on('close', () => sockets.delete(near));
    void carry(open, to, near, signal, ownsGuests);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  if (ownsGuests) server.unref();
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    host: '127.0.0.1',
    port,
    [Symbol.asyncDispose]: async () => {
      for (const near of sockets) near.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

async function carry(
  open: () => Promise<Guest>,
  to: { host: string; port: number },
  near: Socket,
  signal: AbortSignal,
  ownsGuests: boolean,
): Promise<void> {
  try {
    const guest = await open();
    if (ownsGuests) {
      if (near.destroyed) return await guest[Symbol.asyncDispose]();
      near.once('close', () => void Promise.resolve(guest[Symbol.asyncDispose]()).catch(() => {}));
    }
    const far = await guest.forward(to, signal);
    far.on('error', () => near.destroy());
    far.on('close', () => near.destroy());
    near.on('close', () => far.destroy());
    near.pipe(far).pipe(near);
  } catch {
    near.destroy();
  }
}
