import { createConnection, isIP, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { ClonaError } from '../../../errors.ts';
import type { DatabaseAddress } from '../../database.ts';
import { describeAddress } from '../connect.ts';
import { openSocket, usesTls } from '../cancel.ts';

export interface ByteSource {
  socket: Socket;
  /** Lets bytes come again after the taker answered false. */
  resume: () => void;
}

/** Larger than what a Unix socket holds: one system call empties it. */
const readBufferBytes = 512 * 1024;
const sslRequestCode = 80_877_103;

/**
 * Opens the socket of a session. `take` gets every chunk (valid only during the call) and answers false to pause.
 * Without TLS all bytes pass through one buffer: no stream, no allocation per chunk.
 */
export async function openByteSource(
  address: DatabaseAddress,
  take: (chunk: Buffer) => boolean,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<ByteSource> {
  if (!usesTls(address)) {
    const buffer = Buffer.allocUnsafe(readBufferBytes);
    const onread = { buffer, callback: (count: number): boolean => take(buffer.subarray(0, count)) };
    const place = address.host.startsWith('/')
      ? { path: join(address.host, `.s.PGSQL.${address.port}`) }
      : { host: address.host, port: address.port, noDelay: true };
    const socket = createConnection({ ...place, onread });
    await opened(socket, 'connect', address, timeoutMs, signal);
    return { socket, resume: () => void socket.resume() };
  }
  const plain = openSocket(address);
  await opened(plain, 'connect', address, timeoutMs, signal);
  await requestTls(plain, address);
  const socket = connectTls({
    socket: plain,
    ...(isIP(address.host) === 0 ? { servername: address.host } : {}),
    rejectUnauthorized: address.sslMode === 'verify-full',
  });
  await opened(socket, 'secureConnect', address, timeoutMs, signal);
  socket.on('data', (chunk: Buffer) => {
    if (!take(chunk)) socket.pause();
  });
  return { socket, resume: () => void socket.resume() };
}

async function requestTls(socket: Socket, address: DatabaseAddress): Promise<void> {
  const request = Buffer.alloc(8);
  request.writeInt32BE(8, 0);
  request.writeInt32BE(sslRequestCode, 4);
  const answer = await new Promise<Buffer>((resolve, reject) => {
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      resolve(chunk);
    });
    socket.once('error', reject);
    socket.write(request);
  });
  // More than the one letter would be words sent before the encryption (CVE-2021-23222).
  if (answer.toString('latin1') !== 'S') {
    socket.destroy();
    throw new ClonaError('databaseFailed', `the server at ${describeAddress(address)} offers no TLS`, {
      hint: 'sslmode asks for it; switch it on at the server, or reach the server by a Unix socket',
    });
  }
}

async function opened(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  address: DatabaseAddress,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const until = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(event, resolve);
      socket.once('error', reject);
      until.addEventListener('abort', () => reject(until.reason as Error), { once: true });
    });
  } catch (error) {
    socket.destroy();
    if (signal?.aborted === true) throw error;
    const said = error instanceof Error ? error.message : String(error);
    throw new ClonaError(
      'databaseFailed',
      `the database at ${describeAddress(address)} does not answer: ${said}`,
      {
        cause: error,
      },
    );
  }
}
