import { once } from 'node:events';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import type { Guest } from './guest.ts';

/** A way from connections of this host into a guest. */
export interface GuestWay {
  /** Asked with every connection. */
  open: () => Promise<Guest>;
  to: Parameters<Guest['forward']>[0];
  signal: AbortSignal;
  /** The guest is the connection's own, is closed with it, and nothing waits for the bridge. */
  ownsGuests: boolean;
  /** What becomes of a connection that cannot be carried on. */
  refuse: (near: Socket, error: unknown) => void;
}

/** Disposing ends its connections and stops listening; the guest stays the caller's. */
export interface Bridge extends AsyncDisposable {
  server: Server;
}

/** Listens here; every connection is carried to its end in the guest, whatever network the guest has. */
export async function openBridge(listen: ListenOptions, way: GuestWay): Promise<Bridge> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    sockets.add(near);
    near.on('error', () => {});
    near.on('close', () => sockets.delete(near));
    void carry(near, way);
  });
  server.listen(listen);
  await once(server, 'listening');
  if (way.ownsGuests) server.unref();
  return {
    server,
    [Symbol.asyncDispose]: async () => {
      for (const near of sockets) near.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

async function carry(near: Socket, { open, to, signal, ownsGuests, refuse }: GuestWay): Promise<void> {
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
  } catch (error) {
    refuse(near, error);
  }
}
