import { readBindInfo, readBindValue, type BindInfo } from './column-data.ts';
import { messageType } from './messages.ts';
import type { Reader } from './reader.ts';
import type { SqlValue } from './values.ts';

export const functions = {
  reexecute: 4,
  fetch: 5,
  logOff: 9,
  commit: 14,
  rollback: 15,
  reexecuteAndFetch: 78,
  execute: 94,
  lob: 96,
  closeCursors: 105,
  authTwo: 115,
  authOne: 118,
  cancelCursors: 120,
  endToEnd: 135,
  ping: 147,
  setSchema: 152,
} as const;

export const executeOptions = { parse: 1, define: 0x10, execute: 0x20, fetch: 0x40, commit: 0x100 } as const;

export interface ExecuteRequest {
  options: number;
  cursor: number;
  sql: string | null;
  rows: number;
  /** null: as at the last execute of this cursor. */
  bindInfos: BindInfo[] | null;
  /** Fetch types of a query's columns, when the client defines them. */
  defines: BindInfo[] | null;
  readBinds(infos: readonly BindInfo[]): SqlValue[][];
}

export function readExecute(reader: Reader): ExecuteRequest {
  const options = reader.ub();
  const cursor = reader.ub();
  const hasSql = reader.u8() === 1;
  reader.ub();
  reader.u8();
  reader.ub();
  reader.take(3);
  const rows = reader.ub();
  reader.ub();
  reader.u8();
  const bindCount = reader.ub();
  reader.take(5);
  reader.u8();
  const defineCount = reader.ub();
  reader.ub();
  reader.take(3);
  reader.ub();
  reader.u8();
  reader.ub();
  reader.ub();
  skipRowCountsAndSignature(reader);
  const sql = hasSql ? reader.text() : null;
  for (let left = 13; left > 0; left -= 1) reader.ub();
  const infos = (count: number): BindInfo[] => Array.from({ length: count }, () => readBindInfo(reader));
  const defines = defineCount > 0 ? infos(defineCount) : null;
  const bindInfos = bindCount > 0 ? infos(bindCount) : null;
  return { options, cursor, sql, rows, bindInfos, defines, readBinds: (known) => readRows(reader, known) };
}

function skipRowCountsAndSignature(reader: Reader): void {
  reader.u8();
  reader.ub();
  reader.u8();
  reader.u8();
  reader.ub();
  reader.u8();
  reader.ub();
  reader.u8();
  reader.u8();
  reader.ub();
}

export interface ReexecuteRequest {
  cursor: number;
  rows: number;
  readBinds(infos: readonly BindInfo[]): SqlValue[][];
  commits: boolean;
}

export function readReexecute(reader: Reader): ReexecuteRequest {
  const cursor = reader.ub();
  const rows = reader.ub();
  reader.ub();
  const commits = (reader.ub() & 1) !== 0;
  return { cursor, rows, commits, readBinds: (infos) => readRows(reader, infos) };
}

function readRows(reader: Reader, infos: readonly BindInfo[]): SqlValue[][] {
  const rows: SqlValue[][] = [];
  while (reader.left > 0 && infos.length > 0) {
    if (reader.u8() !== messageType.rowData) throw new Error('bind values do not begin with ROW_DATA');
    rows.push(infos.map((info) => readBindValue(reader, info)));
  }
  return rows;
}

export interface LobRequest {
  operation: number;
  locator: Buffer;
  offset: number;
  amount: number;
}

export function readLob(reader: Reader): LobRequest {
  reader.u8();
  const locatorLength = reader.ub();
  reader.u8();
  reader.ub();
  reader.ub();
  reader.ub();
  reader.take(3);
  const operation = reader.ub();
  reader.take(2);
  const offset = reader.ub();
  reader.ub();
  const hasAmount = reader.u8() === 1;
  reader.take(6);
  const locator = Buffer.from(reader.take(locatorLength));
  return { operation, locator, offset, amount: hasAmount ? reader.ub() : 0 };
}

/** What may come before any function: it has no length, so it must be understood. Answers closed cursors. */
export function readPiggyback(reader: Reader): { closes: number[]; schema: string | null } {
  const code = reader.u8();
  reader.u8();
  if (code === functions.closeCursors || code === functions.cancelCursors) {
    reader.u8();
    const count = reader.ub();
    const cursors = Array.from({ length: count }, () => reader.ub());
    return { closes: code === functions.closeCursors ? cursors : [], schema: null };
  }
  if (code === functions.setSchema) {
    reader.u8();
    return { closes: [], schema: reader.countedText() };
  }
  if (code === functions.endToEnd) skipEndToEnd(reader);
  else throw new Error(`piggyback ${code} is not simulated`);
  return { closes: [], schema: null };
}

/** Module, action and the like: lengths first, then the texts of those that have one. */
function skipEndToEnd(reader: Reader): void {
  reader.take(2);
  reader.ub();
  const lengths: number[] = [];
  const length = (): void => {
    reader.u8();
    lengths.push(reader.ub());
  };
  for (let left = 4; left > 0; left -= 1) length();
  reader.u8();
  reader.ub();
  length();
  reader.u8();
  reader.ub();
  reader.u8();
  reader.ub();
  length();
  for (const bytes of lengths) if (bytes > 0) reader.bytes();
}
