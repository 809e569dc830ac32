/** Wall-clock time of a DATE, without zone: seconds since 1970-01-01 00:00:00 of that clock. */
export class SqlDate {
  readonly seconds: number;

  constructor(seconds: number) {
    this.seconds = seconds;
  }
}

/** TIMESTAMP; with an offset (minutes east of UTC) WITH TIME ZONE: `seconds` is then of that zone's clock. */
export class SqlTimestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly offsetMinutes: number | null;

  constructor(seconds: number, nanoseconds = 0, offsetMinutes: number | null = null) {
    this.seconds = seconds;
    this.nanoseconds = nanoseconds;
    this.offsetMinutes = offsetMinutes;
  }
}

export class Clob {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export const lobChunkSize = 8132;

/** A CLOB on its way to the client: with the locator under which it is kept. */
export class LocatedClob extends Clob {
  readonly locator: Buffer;

  constructor(text: string, locator: Buffer) {
    super(text);
    this.locator = locator;
  }
}

/** NUMBER is bigint when it is whole, so that positions beyond 2^53 stay exact. */
export type SqlValue = null | bigint | number | string | SqlDate | SqlTimestamp | Clob | Uint8Array;

/** Where a CLOB is expected text is one, too; nothing else is. */
export function clobText(value: SqlValue): string {
  if (value instanceof Clob) return value.text;
  if (typeof value !== 'string') throw new Error(`a CLOB cannot be ${typeof value}`);
  return value;
}

export type ColumnType =
  | { kind: 'NUMBER' }
  | { kind: 'VARCHAR2'; size: number }
  | { kind: 'DATE' }
  | { kind: 'TIMESTAMP' }
  | { kind: 'TIMESTAMP WITH TIME ZONE' }
  | { kind: 'RAW'; size: number }
  | { kind: 'CLOB' };

export interface Column {
  name: string;
  type: ColumnType;
}

/** An error as the server raises it. */
export class OraError extends Error {
  readonly code: number;
  /** Where in the SQL text, from 0; -1: nowhere. */
  readonly position: number;

  constructor(code: number, text: string, position = -1) {
    super(`ORA-${String(code).padStart(5, '0')}: ${text}`);
    this.name = 'OraError';
    this.code = code;
    this.position = position;
  }
}
