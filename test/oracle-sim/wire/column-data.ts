import { encodeDate, encodeTimestamp, decodeDate, decodeTimestamp } from './dates.ts';
import { decodeNumber, encodeNumber } from './number.ts';
import {
  clobText,
  lobChunkSize,
  LocatedClob,
  SqlDate,
  SqlTimestamp,
  type Column,
  type ColumnType,
  type SqlValue,
} from './values.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export const oracleTypes = {
  VARCHAR2: 1,
  NUMBER: 2,
  integer: 3,
  long: 8,
  DATE: 12,
  RAW: 23,
  longRaw: 24,
  char: 96,
  binaryDouble: 101,
  CLOB: 112,
  TIMESTAMP: 180,
  'TIMESTAMP WITH TIME ZONE': 181,
  localTimestamp: 231,
} as const;

function sizeOf(type: ColumnType): number {
  if (type.kind === 'VARCHAR2' || type.kind === 'RAW') return type.size;
  if (type.kind === 'NUMBER') return 22;
  if (type.kind === 'DATE') return 7;
  return type.kind === 'TIMESTAMP' ? 11 : type.kind === 'CLOB' ? 4000 : 13;
}

/** One column of DESCRIBE; maxSize must never be 0, or the driver skips the values. */
export function writeColumn(writer: Writer, { name, type }: Column, position: number): void {
  const text = type.kind === 'VARCHAR2' || type.kind === 'CLOB';
  const stamp = type.kind.startsWith('TIMESTAMP');
  writer.u8(oracleTypes[type.kind], 0, 0, type.kind === 'NUMBER' ? 0x81 : stamp ? 6 : 0);
  writer.ub(sizeOf(type), 0, 0, 0, 0, text ? 873 : 0).u8(text ? 1 : 0);
  writer.ub(type.kind === 'VARCHAR2' ? type.size : 0, 0).u8(1, Math.min(name.length, 255));
  writer.countedText(name).ub(0, 0, position, 0);
}

/** A value of a row, as its column is told; `longText`: a CLOB that the client fetches as text. */
export function writeValue(writer: Writer, value: SqlValue, type: ColumnType, longText: boolean): void {
  if (longText) {
    if (value === null) writer.u8(0);
    else writer.text(clobText(value));
    writer.sb(0).ub(0);
  } else if (value === null) writer.u8(0);
  else if (value instanceof LocatedClob) {
    writer.ub(value.locator.length, value.text.length, lobChunkSize).bytes(value.locator);
  } else writer.bytes(valueBytes(value, type));
}

export function valueBytes(value: SqlValue, { kind }: ColumnType): Uint8Array {
  if (kind === 'NUMBER' && (typeof value === 'bigint' || typeof value === 'number'))
    return encodeNumber(value);
  if (kind === 'DATE' && value instanceof SqlDate) return encodeDate(value.seconds);
  if (kind.startsWith('TIMESTAMP') && value instanceof SqlTimestamp) return encodeTimestamp(value);
  if (kind === 'VARCHAR2' && typeof value === 'string') return Buffer.from(value, 'utf8');
  if (kind === 'RAW' && value instanceof Uint8Array) return value;
  throw new Error(
    `a column of ${kind} cannot hold ${typeof value === 'object' ? value?.constructor.name : typeof value}`,
  );
}

/** Metadata of one bind, as the client sends it. */
export interface BindInfo {
  oracleType: number;
  maxSize: number;
  isArray: boolean;
}

export function readBindInfo(reader: Reader): BindInfo {
  const oracleType = reader.u8();
  const flags = reader.u8();
  reader.take(2);
  const maxSize = reader.ub();
  reader.ub();
  reader.ub();
  if (reader.ub() > 0) reader.bytes();
  reader.ub();
  reader.ub();
  reader.u8();
  reader.ub();
  reader.ub();
  return { oracleType, maxSize, isArray: (flags & 0x40) !== 0 };
}

export function readBindValue(reader: Reader, { oracleType, isArray }: BindInfo): SqlValue {
  if (isArray) throw new Error('array binds are not simulated');
  const bytes = reader.bytes();
  if (bytes === null) return null;
  switch (oracleType) {
    case oracleTypes.NUMBER:
    case oracleTypes.integer:
      return decodeNumber(bytes);
    case oracleTypes.VARCHAR2:
    case oracleTypes.char:
    case oracleTypes.long:
      return bytes.toString('utf8');
    case oracleTypes.DATE:
      return decodeDate(bytes);
    case oracleTypes.TIMESTAMP:
    case oracleTypes['TIMESTAMP WITH TIME ZONE']:
    case oracleTypes.localTimestamp:
      return decodeTimestamp(bytes);
    case oracleTypes.RAW:
    case oracleTypes.longRaw:
      return Uint8Array.from(bytes);
    default:
      throw new Error(`binds of type ${oracleType} are not simulated`);
  }
}

/** The type in which an OUT bind goes back. */
export function outBindType({ oracleType, maxSize }: BindInfo): ColumnType {
  const known = (['NUMBER', 'DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE'] as const).find(
    (kind) => oracleTypes[kind] === oracleType,
  );
  if (known !== undefined) return { kind: known };
  if (oracleType === oracleTypes.integer) return { kind: 'NUMBER' };
  if (oracleType === oracleTypes.RAW) return { kind: 'RAW', size: maxSize };
  return { kind: 'VARCHAR2', size: maxSize };
}
