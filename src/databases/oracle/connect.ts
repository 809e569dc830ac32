import type oracledb from 'oracledb';
import { ClonaError } from '../../errors.ts';
import type { DatabaseAddress } from '../database.ts';
import { serverError } from './server-errors.ts';

export type BindValues = Readonly<Record<string, string | number | null>>;

export interface OracleSession extends AsyncDisposable {
  /** The driver's own connection, for what `query` and `execute` do not do (LOBs, arrays). */
  driver: oracledb.Connection;
  /** All rows, every value as text or null; values are bound by name. */
  query: (sql: string, binds?: BindValues, what?: string) => Promise<(string | null)[][]>;
  /** A statement or a PL/SQL block; OUT binds are asked for by name and come as text. */
  execute: (
    sql: string,
    binds?: BindValues,
    out?: readonly string[],
  ) => Promise<Record<string, string | null>>;
}

/** What the fence and other readers need of a session: by the driver, or by SQL*Plus on the machine (sqlplus-session.ts). */
export type OracleSql = Pick<OracleSession, 'query' | 'execute'>;

export interface OracleConnectOptions {
  /** Shown in V$SESSION.MODULE. Default clona. */
  module?: string;
  /** Until the listener answers, in milliseconds. Default 10 000. */
  timeoutMs?: number;
  /** Longest round trip, in milliseconds. Default none. */
  callTimeoutMs?: number;
}

/** Rows in one round trip: 100 000 archived logs are ten of them. */
const rowsAtOnce = 10_000;

/**
 * Opens one session with the thin driver: no Oracle client is installed. Numbers and dates of queries come as text
 * (dates only through TO_CHAR: the driver reads them in the zone of this process). Aborting breaks the running call.
 */
export async function connectOracle(
  address: DatabaseAddress,
  signal: AbortSignal,
  options: OracleConnectOptions = {},
): Promise<OracleSession> {
  signal.throwIfAborted();
  const { default: driver } = await import('oracledb');
  const place = describeOracle(address);
  const opening = driver.getConnection(attributesOf(driver, address, options.timeoutMs ?? 10_000));
  const connection = await raceAbort(opening, signal).catch((error: unknown) => {
    void opening.then(
      async (late) => late.close(),
      () => {},
    );
    throw serverError(error, `Oracle at ${place}`, signal);
  });
  connection.module = options.module ?? 'clona';
  if (options.callTimeoutMs !== undefined) connection.callTimeout = options.callTimeoutMs;
  const onAbort = (): void => breakOff(connection);
  signal.addEventListener('abort', onAbort, { once: true });
  const call = async <Result>(what: string, work: () => Promise<Result>): Promise<Result> => {
    signal.throwIfAborted();
    try {
      return await raceAbort(work(), signal);
    } catch (error) {
      throw serverError(error, what, signal);
    }
  };
  return {
    driver: connection,
    query: async (sql, binds = {}, what = `Oracle at ${place}`) =>
      call(what, async () => readAll(driver, connection, sql, binds)),
    execute: async (sql, binds = {}, out = []) =>
      call(`Oracle at ${place}`, async () => {
        const asText = { dir: driver.BIND_OUT, type: driver.STRING, maxSize: 32_767 };
        const outs = Object.fromEntries(out.map((name) => [name, asText]));
        const { outBinds } = await connection.execute<Record<string, string | null>>(sql, {
          ...binds,
          ...outs,
        });
        return outBinds ?? {};
      }),
    [Symbol.asyncDispose]: async () => {
      signal.removeEventListener('abort', onAbort);
      const closed = connection.close().catch(() => {});
      if (!signal.aborted) await closed;
    },
  };
}

const patienceMs = 1000;

/**
 * The server is asked to end what it does; one that does not hear it loses the connection. The driver has no public way to
 * drop a connection that is busy, so its own is used where it is there.
 */
function breakOff(connection: oracledb.Connection): void {
  void connection.break().catch(() => {});
  const { _impl: own } = connection as unknown as {
    _impl?: { nscon?: { disconnect?: (how: number) => void } };
  };
  const immediately = 0x40;
  setTimeout(() => own?.nscon?.disconnect?.(immediately), patienceMs).unref();
}

/** The driver has no signal for a connection that is being opened; whoever waits for it must not wait on. */
async function raceAbort<Result>(opening: Promise<Result>, signal: AbortSignal): Promise<Result> {
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(signal.reason instanceof Error ? signal.reason : new ClonaError('interrupted', 'interrupted'));
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  opening.catch(() => {});
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([opening, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

type Scalar = string | number | bigint | boolean | null | undefined;

async function readAll(
  driver: typeof oracledb,
  connection: oracledb.Connection,
  sql: string,
  binds: BindValues,
): Promise<(string | null)[][]> {
  const asText = new Set<unknown>([driver.DB_TYPE_NUMBER, driver.DB_TYPE_CLOB, driver.DB_TYPE_LONG]);
  const { rows = [] } = await connection.execute<Scalar[]>(
    sql,
    { ...binds },
    {
      outFormat: driver.OUT_FORMAT_ARRAY,
      fetchArraySize: rowsAtOnce,
      prefetchRows: rowsAtOnce,
      maxRows: 0,
      // Undefined: as it comes; the driver's types leave that out.
      fetchTypeHandler: ({ dbType }) => (asText.has(dbType) ? { type: driver.STRING } : undefined)!,
    },
  );
  return rows.map((row) =>
    row.map((value) => (value === null || value === undefined ? null : String(value))),
  );
}

function attributesOf(
  driver: typeof oracledb,
  address: DatabaseAddress,
  timeoutMs: number,
): oracledb.ConnectionAttributes {
  const { oracle = {}, user, password } = address;
  const privileges = { sysdba: driver.SYSDBA, sysbackup: driver.SYSBACKUP } as const;
  const { privilege } = oracle;
  return {
    user,
    ...(password === undefined ? {} : { password }),
    connectString: connectStringOf(address),
    // Both are known to the driver since 6.0; its types leave them out.
    ...({
      transportConnectTimeout: Math.ceil(timeoutMs / 1000),
      connectTimeout: Math.ceil(timeoutMs / 1000),
    } as object),
    ...(oracle.walletDir === undefined
      ? {}
      : { walletLocation: oracle.walletDir, configDir: oracle.walletDir }),
    ...(oracle.walletPassword === undefined ? {} : { walletPassword: oracle.walletPassword }),
    ...(privilege === undefined || privilege === 'normal' ? {} : { privilege: privileges[privilege] }),
  };
}

/** EZConnect of host, port and service, unless the site gives its own connect string. */
export function connectStringOf({ oracle, host, port, database }: DatabaseAddress): string {
  if (oracle?.connectString !== undefined) return oracle.connectString;
  if (oracle?.evenRestricted === true) {
    return `(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=${host})(PORT=${port}))(CONNECT_DATA=(SERVICE_NAME=${database})(UR=A)))`;
  }
  return `${host.includes(':') ? `[${host}]` : host}:${port}/${database}`;
}

/** For messages: host, port and service, or the connect string, which holds no password. */
export function describeOracle(address: DatabaseAddress): string {
  const { oracle } = address;
  return connectStringOf({ ...address, oracle: { ...oracle, evenRestricted: false } });
}
