import { createWriteStream } from 'node:fs';
import {
  request as requestHttp,
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { request as requestHttps, Agent as HttpsAgent } from 'node:https';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Client } from 'basic-ftp';
import { ClonaError } from '../errors.ts';
import type { OnProgress } from '../progress.ts';

export interface DownloadOptions {
  user?: string | undefined;
  password?: string | undefined;
  /** PEM of the authorities to trust instead of the built-in ones. */
  ca?: string | undefined;
  maxBytes: number;
  /** The server may be silent for this long. */
  idleMs: number;
  signal: AbortSignal;
  onProgress: OnProgress;
}

const mostRedirects = 5;

/** Brings one file from an https, http, ftp or ftps address. Failures are `kitFetchFailed`, without any password. */
export async function download(address: URL, file: string, options: DownloadOptions): Promise<void> {
  try {
    if (address.protocol === 'ftp:' || address.protocol === 'ftps:')
      await downloadFtp(address, file, options);
    else await downloadHttp(address, file, options);
  } catch (cause) {
    options.signal.throwIfAborted();
    if (cause instanceof ClonaError || isDisk(cause)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ClonaError('kitFetchFailed', `cannot fetch the kit from ${showAddress(address)}: ${why}`, {
      hint: 'check the address, the server and, for https, its certificate',
    });
  }
}

function isDisk(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/** An address as it may be shown: without user, password and query (which may hold a token). */
export function showAddress(address: URL): string {
  return `${address.protocol}//${address.host}${address.pathname}`;
}

async function downloadHttp(start: URL, file: string, options: DownloadOptions): Promise<void> {
  let address = start;
  for (let redirects = 0; redirects <= mostRedirects; redirects += 1) {
    const response = await ask(address, address.origin === start.origin, options);
    const { statusCode = 0, headers } = response;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      response.destroy();
      const next = new URL(headers.location, address);
      if (next.protocol !== 'https:' && (start.protocol === 'https:' || next.protocol !== 'http:')) {
        throw new ClonaError(
          'kitFetchFailed',
          `${showAddress(address)} sends on to ${next.protocol}, which is refused`,
        );
      }
      address = next;
      continue;
    }
    if (statusCode !== 200) {
      response.destroy();
      throw new ClonaError(
        'kitFetchFailed',
        `${showAddress(address)} answers ${statusCode} ${response.statusMessage ?? ''}`.trimEnd(),
        {
          hint: statusCode === 401 || statusCode === 403 ? 'check user and password' : 'check the address',
        },
      );
    }
    await saveResponse(response, file, options);
    return;
  }
  throw new ClonaError('kitFetchFailed', `${showAddress(start)} sends on more than ${mostRedirects} times`);
}

async function ask(address: URL, sameOrigin: boolean, options: DownloadOptions): Promise<IncomingMessage> {
  const { user, password, ca, idleMs, signal } = options;
  // The password goes to the server it was meant for, not to where that one sends us.
  const authorization =
    sameOrigin && user !== undefined
      ? { authorization: `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}` }
      : {};
  const common: RequestOptions = {
    signal,
    timeout: idleMs,
    headers: { 'user-agent': 'clona', 'accept-encoding': 'identity', ...authorization },
  };
  const proxyEnv = process.env;
  return new Promise((resolve, reject) => {
    const request =
      address.protocol === 'https:'
        ? requestHttps(address, {
            ...common,
            agent: new HttpsAgent(ca === undefined ? { proxyEnv } : { proxyEnv, ca }),
          })
        : requestHttp(address, { ...common, agent: new HttpAgent({ proxyEnv }) });
    request.once('response', resolve);
    request.once('error', reject);
    request.once('timeout', () => request.destroy(new Error(`nothing came for ${idleMs} ms`)));
    request.end();
  });
}

async function saveResponse(
  response: IncomingMessage,
  file: string,
  options: DownloadOptions,
): Promise<void> {
  const length = response.headers['content-length'];
  const totalBytes = length === undefined ? undefined : Number(length);
  if (totalBytes !== undefined && totalBytes > options.maxBytes) throw tooLong(options.maxBytes);
  const count = countBytes(options, totalBytes);
  await pipeline(response, count.stream, createWriteStream(file, { flags: 'wx', mode: 0o600 }), {
    signal: options.signal,
  });
  if (totalBytes !== undefined && count.bytes() !== totalBytes) {
    throw new Error(`the connection ended after ${count.bytes()} of ${totalBytes} bytes`);
  }
}

async function downloadFtp(address: URL, file: string, options: DownloadOptions): Promise<void> {
  const { ca, signal } = options;
  const client = new Client(options.idleMs);
  const stop = (): void => client.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.access({
      host: address.hostname.replace(/^\[|\]$/g, ''),
      port: address.port === '' ? 21 : Number(address.port),
      user: options.user ?? 'anonymous',
      password: options.password ?? 'anonymous@',
      // The port of old that speaks TLS from its first byte; elsewhere AUTH TLS comes before the password (RFC 4217).
      secure: address.protocol === 'ftps:' && (address.port === '990' ? 'implicit' : true),
      ...(ca === undefined ? {} : { secureOptions: { ca, host: address.hostname } }),
    });
    const path = decodeURIComponent(address.pathname);
    const totalBytes = await client.size(path).catch(() => undefined);
    if (totalBytes !== undefined && totalBytes > options.maxBytes) throw tooLong(options.maxBytes);
    const count = countBytes(options, totalBytes);
    const saving = pipeline(count.stream, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
    saving.catch(() => client.close());
    const [sent, saved] = await Promise.allSettled([client.downloadTo(count.stream, path), saving]);
    if (saved.status === 'rejected') throw saved.reason;
    if (sent.status === 'rejected') throw sent.reason;
    if (totalBytes !== undefined && count.bytes() !== totalBytes) {
      throw new Error(`the connection ended after ${count.bytes()} of ${totalBytes} bytes`);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    client.close();
  }
}

function countBytes(
  options: DownloadOptions,
  totalBytes: number | undefined,
): { stream: Transform; bytes: () => number } {
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      options.onProgress({ step: 'fetch kit', state: 'running', doneBytes: bytes, totalBytes });
      if (bytes > options.maxBytes) done(tooLong(options.maxBytes));
      else done(null, chunk);
    },
  });
  return { stream, bytes: () => bytes };
}

function tooLong(maxBytes: number): ClonaError {
  return new ClonaError('kitInvalid', `the kit's archive is larger than ${maxBytes} bytes`);
}
