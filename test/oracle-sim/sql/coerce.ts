import { Clob, OraError, SqlDate, SqlTimestamp, type SqlValue } from '../wire/values.ts';
import { formatDate, offsetText, parseDate } from './formats.ts';

export const defaultDateFormat = 'DD-MON-RR';

/** As the server writes a NUMBER without a format: no zero before the point. */
export function numberText(value: bigint | number): string {
  return typeof value === 'bigint' ? String(value) : String(value).replace(/^(-?)0\./, '$1.');
}

export function toText(value: SqlValue): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'number') return numberText(value);
  if (value instanceof SqlDate) return formatDate(value, defaultDateFormat);
  if (value instanceof SqlTimestamp) {
    const text = formatDate(value, 'DD-MON-RR HH24.MI.SS.FF6');
    return value.offsetMinutes === null ? text : `${text} ${offsetText(value.offsetMinutes)}`;
  }
  if (value instanceof Clob) return value.text;
  return Buffer.from(value).toString('hex').toUpperCase();
}

export function toNumber(value: SqlValue): bigint | number | null {
  if (value === null || typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'string') throw new OraError(932, 'inconsistent datatypes: expected NUMBER got DATE');
  const text = value.trim();
  if (/^[-+]?\d+$/.test(text)) return BigInt(text);
  if (!/^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text)) throw new OraError(1722, 'invalid number');
  return toNumber(Number(text));
}

export function toMoment(value: SqlValue): SqlDate | SqlTimestamp | null {
  if (value === null || value instanceof SqlDate || value instanceof SqlTimestamp) return value;
  if (typeof value === 'string') return new SqlDate(parseDate(value, defaultDateFormat).seconds);
  throw new OraError(932, 'inconsistent datatypes: expected DATE got NUMBER');
}

/** Below zero, zero, above; null when a side is NULL. What cannot be compared is an error, as there. */
export function compare(left: SqlValue, right: SqlValue): number | null {
  if (left === null || right === null) return null;
  if (isNumber(left) || isNumber(right)) return compareNumbers(toNumber(left)!, toNumber(right)!);
  if (isMoment(left) || isMoment(right))
    return momentNumber(toMoment(left)!) - momentNumber(toMoment(right)!);
  if (left instanceof Clob || right instanceof Clob)
    throw new OraError(932, 'inconsistent datatypes: expected - got CLOB');
  const [a, b] = [toText(left)!, toText(right)!];
  return a < b ? -1 : Number(a > b);
}

export function compareNumbers(left: bigint | number, right: bigint | number): number {
  return left < right ? -1 : Number(left > right);
}

function isNumber(value: SqlValue): boolean {
  return typeof value === 'bigint' || typeof value === 'number';
}

function isMoment(value: SqlValue): boolean {
  return value instanceof SqlDate || value instanceof SqlTimestamp;
}

function momentNumber(value: SqlDate | SqlTimestamp): number {
  if (value instanceof SqlDate) return value.seconds;
  return value.seconds - (value.offsetMinutes ?? 0) * 60 + value.nanoseconds / 1e9;
}
