import type { Socket } from 'node:net';

/** Carries what comes to `near` on to `far` and back; one that ends ends the other. `sockets` holds both while they are open. */
export function joinSockets(near: Socket, far: Socket, sockets: Set<Socket>): void {
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    sockets.add(one);
    one.on('error', () => other.destroy());
    one.once('close', () => {
      sockets.delete(one);
      other.destroy();
    });
    one.pipe(other);
  }
}
