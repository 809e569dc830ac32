import { request as requestHttp, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

export interface HttpRequest {
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
  /** https of a machine often has a certificate of its own; say so where that is accepted. */
  allowUnverifiedTls?: boolean;
  timeoutMs?: number;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  json: () => unknown;
}

const mostBytes = 16 * 2 ** 20;

/** One request over a stream that leads into the machine. Redirects are answers, not followed. */
export async function requestThrough(stream: Duplex, url: URL, request: HttpRequest): Promise<HttpAnswer> {
  const { method = 'GET', headers = {}, body, allowUnverifiedTls = false, timeoutMs = 30_000 } = request;
  const connection =
    url.protocol === 'https:'
      ? connectTls({ socket: stream, servername: url.hostname, rejectUnauthorized: !allowUnverifiedTls })
      : stream;
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = requestHttp({
      method,
      host: url.hostname,
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, connection: 'close', ...headers },
      createConnection: () => connection,
      signal,
    });
    connection.once('error', reject);
    sent.once('response', resolve);
    sent.once('error', reject);
    sent.end(body);
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer); // no encoding was set
    bytes += (chunk as Buffer).length;
    if (bytes > mostBytes) throw new Error(`the answer is larger than ${mostBytes} bytes`);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: text,
    json: () => JSON.parse(text) as unknown,
  };
}
