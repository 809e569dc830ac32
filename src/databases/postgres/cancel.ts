import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import type { DatabaseAddress } from '../database.ts';

/** A plain socket to a server; no TLS, no words yet. */
export function openSocket(address: Pick<DatabaseAddress, 'host' | 'port'>): Socket {
  return address.host.startsWith('/')
    ? createConnection(join(address.host, `.s.PGSQL.${address.port}`))
    : createConnection(address.port, address.host);
}

export function usesTls(address: Pick<DatabaseAddress, 'host' | 'sslMode'>): boolean {
  return !address.host.startsWith('/') && (address.sslMode ?? 'disable') !== 'disable';
}

const cancelRequestCode = 80_877_102;

/** Asks the server to end what a session is doing (the manual's "Canceling Requests in Progress"). Best effort, no answer. */
export function requestCancel(
  address: Pick<DatabaseAddress, 'host' | 'port'>,
  processId: number,
  secretKey: number,
): void {
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(cancelRequestCode, 4);
  request.writeInt32BE(processId, 8);
  request.writeInt32BE(secretKey, 12);
  const socket = openSocket(address);
  socket.on('error', () => {});
  socket.end(request);
  socket.unref();
}
