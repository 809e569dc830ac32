import type { OraError, Column, SqlValue } from './values.ts';
import { writeColumn, writeValue } from './column-data.ts';
import type { Writer } from './writer.ts';

export const messageType = {
  protocol: 1,
  dataTypes: 2,
  function: 3,
  error: 4,
  rowHeader: 6,
  rowData: 7,
  parameter: 8,
  status: 9,
  ioVector: 11,
  lobData: 14,
  describe: 16,
  piggyback: 17,
} as const;

const transactionOpen = 2;

export interface End {
  error?: OraError | null;
  cursor?: number;
  rowCount?: number;
  inTransaction: boolean;
}

/** ERROR, which is also how a call ends well. */
export function writeEnd(
  writer: Writer,
  { error = null, cursor = 0, rowCount = 0, inTransaction }: End,
): void {
  const code = error?.code ?? 0;
  writer
    .u8(messageType.error)
    .ub(inTransaction ? transactionOpen : 0, 0, rowCount, code & 0xffff, 0, 0, cursor);
  writer.sb(Math.max(-1, error?.position ?? 0)).u8(0, 0, 0, 0, 0, 0);
  writer.ub(0, 0).u8(0).ub(0, 0); // no rowid
  writer.ub(0).u8(0, 0).ub(0, 0, 0, 0, 0, 0, code, rowCount);
  if (error !== null) writer.text(`${error.message}\n`);
}

export function writeStatus(writer: Writer, inTransaction: boolean): void {
  writer.u8(messageType.status).ub(inTransaction ? transactionOpen : 0, 0);
}

export function writeDescribe(writer: Writer, columns: readonly Column[]): void {
  writer.u8(messageType.describe, 0).ub(0, columns.length).u8(0);
  for (const [index, column] of columns.entries()) writeColumn(writer, column, index + 1);
  writer.ub(0, 0, 0, 0, 0, 0);
}

export function writeRowHeader(writer: Writer): void {
  writer.u8(messageType.rowHeader, 0).ub(0, 0, 0, 0, 0, 0);
}

export function writeRow(
  writer: Writer,
  columns: readonly Column[],
  row: readonly SqlValue[],
  longTexts: readonly boolean[],
): void {
  writer.u8(messageType.rowData);
  for (const [index, { type }] of columns.entries()) {
    writeValue(writer, row[index] ?? null, type, longTexts[index] === true);
  }
}

export const bindDirections = { in: 32, out: 16 } as const;

/** IO_VECTOR: which binds of a PL/SQL block come back. */
export function writeBindDirections(writer: Writer, directions: readonly number[]): void {
  const count = directions.length;
  writer.u8(messageType.ioVector, 0).ub(count % 256, Math.trunc(count / 256), 0, 0, 0, 0);
  writer.u8(...directions);
}
