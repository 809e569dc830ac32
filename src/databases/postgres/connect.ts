import { join } from 'node:path';
import { Client, DatabaseError } from 'pg';
import { ClonaError } from '../../errors.ts';
import type { DatabaseAddress } from '../database.ts';
import { requestCancel, usesTls } from './cancel.ts';

export interface Connection extends AsyncDisposable {
  /** For streams (pg-copy-streams) and notices; queries go through `query`. */
  client: Client;
  /** Rows of one statement; values are bound. Throws `databaseFailed` with the server's words and `details.sqlState`. */
  query: <Row extends Record<string, unknown> = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ) => Promise<Row[]>;
}

export interface ConnectOptions {
  /** Shown in pg_stat_activity. Default clona. */
  applicationName?: string;
  /** Until the server answers, in milliseconds. Default 10 000. */
  timeoutMs?: number;
  /** Ends the waiting for the server; a session that is open outlives it. Default: `signal`. */
  openSignal?: AbortSignal;
  /** Of the session, from its first moment: stronger than what was set for the database or the role. */
  settings?: Record<string, string>;
}

/**
 * What a site sets for its databases and roles is for its application. The driver reads dates, intervals and bytes in
 * these forms only, and a session of clona ends by its signal, not by a timeout meant for somebody's browser.
 */
const sessionSettings = {
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  default_transaction_read_only: 'off',
} as const;

/**
 * Opens one session. Aborting the signal cancels the running statement and closes the session.
 * Numbers of 64 bits come as text (pg's default): positions stay exact.
 */
export async function connect(
  address: DatabaseAddress,
  signal?: AbortSignal,
  options: ConnectOptions = {},
): Promise<Connection> {
  const opening = options.openSignal ?? signal;
  opening?.throwIfAborted();
  const client = new Client({
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    password: address.password,
    application_name: options.applicationName ?? 'clona',
    connectionTimeoutMillis: options.timeoutMs ?? 10_000,
    keepAlive: true,
    options: startupOptions(options.settings),
    ssl: usesTls(address) ? { rejectUnauthorized: address.sslMode === 'verify-full' } : false,
  });
  let lost: Error | undefined;
  // A session that breaks between two statements must not end the process.
  client.on('error', (error) => (lost ??= error));
  const onAbort = (): void => cancelAndClose(client, address);
  try {
    await untilAborted(client.connect(), opening);
    await untilAborted(applySettings(client, options.settings), opening);
  } catch (error) {
    await closeUnopened(client, opening);
    throw databaseError(error, `the database at ${describeAddress(address)} does not answer`, opening);
  }
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return {
    client,
    query: async <Row extends Record<string, unknown>>(text: string, values: readonly unknown[] = []) => {
      signal?.throwIfAborted();
      try {
        return (await client.query<Row>(text, [...values])).rows;
      } catch (error) {
        throw databaseError(error, undefined, signal, lost);
      }
    },
    [Symbol.asyncDispose]: async () => {
      signal?.removeEventListener('abort', onAbort);
      await client.end().catch(() => {});
    },
  };
}

/** The driver waits for a server that never answers until its timeout, whatever became of the socket. */
async function untilAborted(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await work;
    return;
  }
  work.catch(() => {});
  const stop = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true, signal: stop.signal });
    if (signal.aborted) onAbort();
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    stop.abort();
  }
}

/** A server that never answered is not asked for the end of the session, nor waited for. */
async function closeUnopened(client: Client, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) destroySocket(client);
  const closing = client.end().catch(() => {});
  if (signal?.aborted !== true) await closing;
}

/** By a statement and not by `options`, which a connection pooler refuses; names a server does not know are left out. */
async function applySettings(client: Client, given: Record<string, string> = {}): Promise<void> {
  const wanted = Object.entries({ ...sessionSettings, ...given });
  await client.query(
    `SELECT pg_catalog.set_config(name, value, false) FROM ROWS FROM
       (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS wanted(name, value)
      WHERE pg_catalog.current_setting(name, true) IS NOT NULL`,
    [wanted.map(([name]) => name), wanted.map(([, value]) => value)],
  );
}

/** As libpq's `options`: blanks and backslashes are escaped (protocol-flow, start-up message). */
function startupOptions(settings: Record<string, string> = {}): string | undefined {
  const words = Object.entries(settings).map(
    ([name, value]) => `-c ${name}=${value.replaceAll(/[\s\\]/g, String.raw`\$&`)}`,
  );
  return words.length === 0 ? undefined : words.join(' ');
}

/** Host, port and database; never user secrets. */
export function describeAddress(address: DatabaseAddress): string {
  const place = address.host.startsWith('/')
    ? join(address.host, `.s.PGSQL.${address.port}`)
    : `${address.host}:${address.port}`;
  return `${place}/${address.database}`;
}

/** Doubles quotes as PostgreSQL's quote_ident does, always quoted. */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0')) throw new ClonaError('usage', 'a name of the database cannot hold a zero byte');
  return `"${name.replaceAll('"', '""')}"`;
}

/** For the few statements that take no bound values (SET, replication commands). */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new ClonaError('usage', 'a text of the database cannot hold a zero byte');
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** Any error of the driver or the server as `databaseFailed`; an aborted signal's own reason wins. */
export function databaseError(
  thrown: unknown,
  what?: string,
  signal?: AbortSignal,
  lost?: Error,
): ClonaError {
  if (signal?.aborted === true && signal.reason instanceof ClonaError) return signal.reason;
  if (thrown instanceof ClonaError) return thrown;
  const said = thrown instanceof Error ? thrown.message || String(thrown) : String(thrown);
  const sqlState = thrown instanceof DatabaseError ? thrown.code : undefined;
  // pg tells of a name with several addresses by an AggregateError without a message.
  const inner = thrown instanceof AggregateError ? thrown.errors.map(String).join('; ') : said;
  const message = what === undefined ? `the database says: ${inner}` : `${what}: ${inner}`;
  const detail = thrown instanceof DatabaseError ? (thrown.hint ?? undefined) : undefined;
  return new ClonaError('databaseFailed', message, {
    cause: lost ?? thrown,
    hint: detail,
    details: sqlState === undefined ? undefined : { sqlState },
  });
}

/** pg keeps the numbers that a cancel request needs but has no public cancel; a server too busy to hear is left alone. */
function cancelAndClose(client: Client, address: DatabaseAddress): void {
  const { processID, secretKey } = client as unknown as { processID?: number; secretKey?: number };
  if (typeof processID === 'number' && typeof secretKey === 'number') {
    requestCancel(address, processID, secretKey);
  }
  destroySocket(client);
}

/** pg offers no way to give up a socket at once. */
function destroySocket(client: Client): void {
  const { connection } = client as unknown as { connection?: { stream?: { destroy: () => void } } };
  connection?.stream?.destroy();
}
