import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ReleaseRequest, RunRecord } from './history.ts';

export interface HttpSettings {
  /** Undefined: the trigger is off and answers 404 as if it were not there. */
  token: string | undefined;
  health: () => { ok: boolean } & Record<string, unknown>;
  accept: (request: ReleaseRequest) => Promise<RunRecord>;
  find: (id: string) => Promise<RunRecord | null>;
  note: (line: string) => void;
}

const bodyLimitBytes = 16 * 1024;

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** GET /healthz for monitors; POST /releases and GET /releases/ID for pipelines, with `Authorization: Bearer`. */
export function createHttpServer(settings: HttpSettings): Server {
  const server = createServer((request, response) => {
    answer(request, response, settings).catch((error: unknown) => {
      if (error instanceof Refusal)
        return send(response, error.status, { error: { message: error.message } });
      settings.note(`http: ${error instanceof Error ? error.message : String(error)}`);
      return send(response, 500, { error: { message: 'internal error, see the log of clona serve' } });
    });
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 5000;
  server.maxHeadersCount = 50;
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  settings: HttpSettings,
): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  if (path === '/healthz') {
    requireMethod(request, 'GET');
    const health = settings.health();
    return send(response, health.ok ? 200 : 503, health);
  }
  if (!/^\/releases(?:\/|$)/.test(path) || settings.token === undefined)
    throw new Refusal(404, 'there is nothing here');
  requireToken(request, settings.token);
  if (path === '/releases') {
    requireMethod(request, 'POST');
    const record = await settings.accept(await readRequest(request));
    response.setHeader('location', `/releases/${record.id}`);
    return send(response, 202, { id: record.id, state: record.state, href: `/releases/${record.id}` });
  }
  requireMethod(request, 'GET');
  const record = await settings.find(path.slice('/releases/'.length));
  if (record === null) throw new Refusal(404, 'there is no such release');
  return send(response, 200, record);
}

function requireMethod(request: IncomingMessage, method: string): void {
  if (request.method !== method) throw new Refusal(405, `only ${method} is answered here`);
}

/** Compared by hash, so that neither the length nor a common beginning shows in the time it takes. */
function requireToken(request: IncomingMessage, token: string): void {
  const [, given] = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? [];
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  if (given === undefined || !timingSafeEqual(digest(given), digest(token))) {
    throw new Refusal(401, 'a valid token is needed: Authorization: Bearer …');
  }
}

async function readRequest(request: IncomingMessage): Promise<ReleaseRequest> {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) {
    throw new Refusal(415, 'content-type must be application/json');
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimitBytes) throw new Refusal(413, `a request has at most ${bodyLimitBytes} bytes`);
    chunks.push(chunk);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Refusal(400, 'the body is not JSON');
  }
  return checkRequest(value);
}

function checkRequest(value: unknown): ReleaseRequest {
  if (typeof value !== 'object' || value === null) throw new Refusal(400, 'the body must be { "kit": … }');
  const unknown = Object.keys(value).filter((key) => key !== 'kit' && key !== 'sha256');
  if (unknown.length > 0) throw new Refusal(400, `unknown key ${unknown[0] ?? ''}; allowed: kit, sha256`);
  const { kit, sha256 } = value as { kit?: unknown; sha256?: unknown };
  if (typeof kit !== 'string' || kit === '') throw new Refusal(400, 'kit must be the address of a kit');
  if (sha256 !== undefined && !(typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256))) {
    throw new Refusal(400, 'sha256 must be 64 small hex digits');
  }
  return { kit, sha256 };
}

async function send(response: ServerResponse, status: number, body: unknown): Promise<void> {
  if (response.headersSent || response.destroyed) return;
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    ...(status >= 400 ? { connection: 'close' } : {}),
  });
  await new Promise<void>((resolve) => response.end(text, resolve));
}
