import { request } from 'node:https';
import { ClonaError } from '../../errors.ts';
import type { VimAddress } from './client.ts';

/** The vSphere Automation API, for what the Web Services API does not know: tags. */
export interface VimRest extends AsyncDisposable {
  call: (method: 'GET' | 'POST', path: string, body?: object) => Promise<unknown>;
}

export async function openRest(address: VimAddress, signal: AbortSignal): Promise<VimRest> {
  const basic = Buffer.from(`${address.user}:${address.password}`).toString('base64');
  const session = String(
    await send(
      address,
      'POST',
      '/com/vmware/cis/session',
      { authorization: `Basic ${basic}` },
      undefined,
      signal,
    ),
  );
  const headers = { 'vmware-api-session-id': session };
  return {
    call: async (method, path, body) => send(address, method, path, headers, body, signal),
    async [Symbol.asyncDispose]() {
      const limit = AbortSignal.timeout(5000);
      // Best effort: a server that is gone has no session to end.
      await send(address, 'DELETE', '/com/vmware/cis/session', headers, undefined, limit).catch(() => {});
    },
  };
}

/** Gives the `value` of the answer. */
function send(
  address: VimAddress,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: object | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(address.timeoutMs ?? 60_000)]);
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(
        signal.aborted
          ? signal.reason
          : new ClonaError(
              'machineFailed',
              `${method} ${path} failed on the vSphere server: ${cause.message}`,
              {
                cause,
              },
            ),
      );
    const sent = request(
      `https://${address.server}/rest${path}`,
      {
        method,
        signal: limit,
        headers: { ...headers, ...(text === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(address.authority === undefined ? {} : { ca: address.authority }),
        rejectUnauthorized: address.allowUnverifiedTls !== true,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', fail);
        answer.on('end', () => {
          const said = Buffer.concat(chunks).toString('utf8');
          const status = answer.statusCode ?? 0;
          if (status < 200 || status >= 300) fail(new Error(`HTTP status ${status}: ${said.slice(0, 200)}`));
          else resolve(valueOf(said));
        });
      },
    );
    sent.on('error', fail);
    sent.end(text);
  });
}

function valueOf(said: string): unknown {
  if (said.trim() === '') return undefined;
  const parsed: unknown = JSON.parse(said);
  return typeof parsed === 'object' && parsed !== null && 'value' in parsed ? parsed.value : parsed;
}
