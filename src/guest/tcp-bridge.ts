import type { AddressInfo, Socket } from 'node:net';
import { openBridge } from './bridge.ts';
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
  const refuse = (near: Socket): void => void near.destroy();
  const listen = { host: '127.0.0.1', port: 0 };
  const bridge = await openBridge(listen, { open, to, signal, ownsGuests, refuse });
  const { port } = bridge.server.address() as AddressInfo; // it listens on TCP
  return { host: listen.host, port, [Symbol.asyncDispose]: async () => bridge[Symbol.asyncDispose]() };
}
