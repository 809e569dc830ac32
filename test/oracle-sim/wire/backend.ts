import type { Column, SqlValue } from './values.ts';

/** Who wants to log on; the wire has proven the password before `logOn` is called. */
export interface Account {
  /** As the dictionary writes it. */
  name: string;
  password: string;
  /** Raised instead of a session: expired, locked … */
  refusal: number | null;
}

/** With which one may log on to a database that is not open. */
export type Privilege = 'SYSDBA' | 'SYSOPER' | 'SYSBACKUP';

export interface Backend {
  /** The listener: 0, or the TNS error with which it refuses this connect data. */
  listen(connectData: ConnectData): number;
  findAccount(name: string): Account | null;
  /** Throws an OraError when the instance takes no such session. */
  logOn(account: Account, privilege: Privilege | null): BackendSession;
  /** What goes into AUTH_… of the answer, and the banner. */
  identity(): Identity;
}

export interface ConnectData {
  serviceName: string | null;
  sid: string | null;
  /** UR=A: also an instance that is restricted or not mounted. */
  evenRestricted: boolean;
}

export interface Identity {
  banner: string;
  /** For example [19, 21, 0]. */
  version: readonly [number, number, number];
  databaseName: string;
  uniqueName: string;
  domain: string;
  serviceName: string;
  instanceName: string;
  databaseOffsetMinutes: number;
}

export interface Prepared {
  kind: 'query' | 'plsql' | 'other';
  /** Of a query; others have none. */
  columns: readonly Column[];
}

export interface Outcome {
  /** Rows of a query, taken as they are fetched. */
  rows: Iterable<readonly SqlValue[]> | null;
  rowCount: number;
  /** PL/SQL: value by position of its bind. */
  outs: ReadonlyMap<number, SqlValue>;
}

export interface BackendSession {
  readonly id: number;
  readonly serial: number;
  readonly inTransaction: boolean;
  prepare(sql: string): Prepared;
  execute(prepared: Prepared, binds: readonly SqlValue[], signal: AbortSignal): Promise<Outcome>;
  commit(): void;
  rollback(): void;
  close(): void;
}
