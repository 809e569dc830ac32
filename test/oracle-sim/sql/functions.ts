import { OraError, SqlDate, SqlTimestamp, Clob, type ColumnType, type SqlValue } from '../wire/values.ts';
import {
  compare,
  compareNumbers,
  defaultDateFormat,
  numberText,
  toMoment,
  toNumber,
  toText,
} from './coerce.ts';
import { formatDate, offsetText, parseDate } from './formats.ts';
import { atOffset, parseOffset, type EvaluationContext } from './zones.ts';

interface SqlFunction {
  /** How many arguments there may be. */
  counts: readonly [number, number];
  type(args: readonly ColumnType[]): ColumnType;
  call(args: readonly SqlValue[], context: EvaluationContext): SqlValue;
}

const number: ColumnType = { kind: 'NUMBER' };
export const text: ColumnType = { kind: 'VARCHAR2', size: 4000 };
const stamp: ColumnType = { kind: 'TIMESTAMP' };
const zonedStamp: ColumnType = { kind: 'TIMESTAMP WITH TIME ZONE' };
const date: ColumnType = { kind: 'DATE' };

function strict(
  counts: readonly [number, number],
  type: ColumnType,
  call: (args: readonly SqlValue[], context: EvaluationContext) => SqlValue,
): SqlFunction {
  return {
    counts,
    type: () => type,
    call: (args, context) => (args[0] === null ? null : call(args, context)),
  };
}

function toChar([value = null, format = null]: readonly SqlValue[]): SqlValue {
  if (value === null || typeof value === 'string') return value;
  if (value instanceof SqlDate || value instanceof SqlTimestamp) {
    return formatDate(value, toText(format) ?? defaultDateFormat);
  }
  if (typeof value !== 'bigint' && typeof value !== 'number') return toText(value);
  return format === null ? numberText(value) : formatNumber(value, toText(format)!);
}

/** TM, TM9, and masks of 9 and 0 with FM before them. */
function formatNumber(value: bigint | number, format: string): string {
  const mask = format.toUpperCase();
  if (/^TM9?$/.test(mask)) return numberText(value);
  const found = /^(FM)?([90]+)(?:\.([90]+))?$/.exec(mask);
  if (found === null) throw new OraError(1481, 'invalid number format model');
  const [, fill, whole = '', part = ''] = found;
  const absolute = value < 0 ? -value : value;
  const [left = '', right = ''] = (
    typeof absolute === 'bigint' ? `${absolute}.` : absolute.toFixed(part.length)
  ).split('.');
  const zeros = whole.includes('0') ? whole.length - whole.indexOf('0') : 1;
  if (left.length > whole.length) return '#'.repeat(whole.length + part.length + 1);
  const digits = `${left.padStart(zeros, '0')}${part === '' ? '' : `.${right.padEnd(part.length, '0')}`}`;
  const signed = `${value < 0 ? '-' : fill === undefined ? ' ' : ''}${digits}`;
  return fill === undefined ? signed.padStart(mask.length + 1) : signed;
}

function sysExtractUtc(
  [value = null]: readonly SqlValue[],
  { sessionOffsetMinutes }: EvaluationContext,
): SqlValue {
  if (!(value instanceof SqlTimestamp))
    throw new OraError(932, 'inconsistent datatypes: expected TIMESTAMP got DATE');
  const zoned =
    value.offsetMinutes === null
      ? new SqlTimestamp(value.seconds, value.nanoseconds, sessionOffsetMinutes)
      : value;
  const utc = atOffset(zoned, 0);
  return new SqlTimestamp(utc.seconds, utc.nanoseconds);
}

function fromTz([value = null, zone = null]: readonly SqlValue[]): SqlValue {
  if (!(value instanceof SqlTimestamp))
    throw new OraError(932, 'inconsistent datatypes: expected TIMESTAMP got DATE');
  return new SqlTimestamp(value.seconds, value.nanoseconds, parseOffset(toText(zone) ?? ''));
}

export function castTo(value: SqlValue, type: string): SqlValue {
  if (value === null) return null;
  if (type === 'NUMBER' || type === 'INTEGER') return toNumber(value);
  if (type === 'VARCHAR2' || type === 'CHAR') return toText(value);
  const moment = toMoment(value)!;
  if (type === 'DATE') return new SqlDate(Math.trunc(moment.seconds));
  if (type !== 'TIMESTAMP') throw new OraError(902, `invalid datatype (${type} is not simulated)`);
  return moment instanceof SqlTimestamp ? moment : new SqlTimestamp(moment.seconds);
}

function decode(args: readonly SqlValue[]): SqlValue {
  const [tested = null, ...rest] = args;
  for (let at = 0; at + 1 < rest.length; at += 2) {
    const candidate = rest[at]!;
    if (tested === null ? candidate === null : compare(tested, candidate) === 0) return rest[at + 1]!;
  }
  return rest.length % 2 === 1 ? rest.at(-1)! : null;
}

function substring([value = null, from = 1n, length = null]: readonly SqlValue[]): SqlValue {
  const all = toText(value)!;
  const start = Number(toNumber(from));
  const at = start < 0 ? all.length + start : Math.max(0, start - 1);
  return all.slice(at, length === null ? undefined : at + Number(toNumber(length))) || null;
}

function round([value = null, digits = 0n]: readonly SqlValue[]): SqlValue {
  const found = toNumber(value)!;
  const scale = 10 ** Number(toNumber(digits));
  return typeof found === 'bigint' ? found : toNumber(Math.round(found * scale) / scale);
}

function extreme(sign: number) {
  return (args: readonly SqlValue[]): SqlValue =>
    args.includes(null) ? null : args.reduce((best, one) => (compare(one, best)! * sign > 0 ? one : best));
}

const first = (args: readonly ColumnType[]): ColumnType => args[0] ?? text;
const second = (args: readonly ColumnType[]): ColumnType => args[1] ?? text;

const table: Record<string, SqlFunction> = {
  TO_CHAR: { counts: [1, 2], type: () => text, call: toChar },
  TO_NUMBER: strict([1, 1], number, ([value = null]) => toNumber(value)),
  TO_DATE: strict(
    [1, 2],
    date,
    ([value = null, format = null]) =>
      new SqlDate(parseDate(toText(value)!, toText(format) ?? defaultDateFormat).seconds),
  ),
  TO_TIMESTAMP: strict([2, 2], stamp, ([value = null, format = null]) => {
    const { seconds, nanoseconds } = parseDate(toText(value)!, toText(format)!);
    return new SqlTimestamp(seconds, nanoseconds);
  }),
  TO_TIMESTAMP_TZ: strict([2, 2], zonedStamp, ([value = null, format = null], { sessionOffsetMinutes }) => {
    const { seconds, nanoseconds, offset } = parseDate(toText(value)!, toText(format)!);
    return new SqlTimestamp(seconds, nanoseconds, offset ?? sessionOffsetMinutes);
  }),
  TO_CLOB: strict([1, 1], { kind: 'CLOB' }, ([value = null]) => new Clob(toText(value)!)),
  NVL: { counts: [2, 2], type: first, call: ([value = null, otherwise = null]) => value ?? otherwise },
  NVL2: {
    counts: [3, 3],
    type: second,
    call: ([value = null, yes = null, no = null]) => (value === null ? no : yes),
  },
  COALESCE: { counts: [2, 99], type: first, call: (args) => args.find((value) => value !== null) ?? null },
  NULLIF: {
    counts: [2, 2],
    type: first,
    call: ([left = null, right = null]) => (compare(left, right) === 0 ? null : left),
  },
  DECODE: { counts: [3, 255], type: (args) => args[2] ?? text, call: decode },
  UPPER: strict([1, 1], text, ([value = null]) => toText(value)!.toUpperCase()),
  LOWER: strict([1, 1], text, ([value = null]) => toText(value)!.toLowerCase()),
  TRIM: strict([1, 1], text, ([value = null]) => toText(value)!.trim() || null),
  RTRIM: strict([1, 1], text, ([value = null]) => toText(value)!.trimEnd() || null),
  LTRIM: strict([1, 1], text, ([value = null]) => toText(value)!.trimStart() || null),
  LENGTH: strict([1, 1], number, ([value = null]) => BigInt(toText(value)!.length)),
  SUBSTR: strict([2, 3], text, substring),
  INSTR: strict([2, 2], number, ([value = null, part = null]) =>
    BigInt(toText(value)!.indexOf(toText(part) ?? '') + 1),
  ),
  REPLACE: strict(
    [2, 3],
    text,
    ([value = null, from = null, to = null]) =>
      toText(value)!.replaceAll(toText(from) ?? '', toText(to) ?? '') || null,
  ),
  LPAD: strict([2, 3], text, ([value = null, length = 0n, fill = ' ']) =>
    toText(value)!.padStart(Number(toNumber(length)), toText(fill)!),
  ),
  ROUND: strict([1, 2], number, round),
  ABS: strict([1, 1], number, ([value = null]) =>
    compareNumbers(toNumber(value)!, 0n) < 0 ? -toNumber(value)! : toNumber(value)!,
  ),
  MOD: strict(
    [2, 2],
    number,
    ([left = null, right = null]) => BigInt(toNumber(left)!) % BigInt(toNumber(right)!),
  ),
  GREATEST: { counts: [1, 99], type: first, call: extreme(1) },
  LEAST: { counts: [1, 99], type: first, call: extreme(-1) },
  TRUNC: {
    counts: [1, 1],
    type: first,
    call: ([value = null]) => {
      if (value instanceof SqlDate || value instanceof SqlTimestamp)
        return new SqlDate(value.seconds - (((value.seconds % 86_400) + 86_400) % 86_400));
      return value === null ? null : toNumber(Math.trunc(Number(toNumber(value))));
    },
  },
  SYS_EXTRACT_UTC: strict([1, 1], stamp, sysExtractUtc),
  FROM_TZ: strict([2, 2], zonedStamp, fromTz),
  TZ_OFFSET: strict([1, 1], text, ([zone = null]) => offsetText(parseOffset(toText(zone)!))),
  'DBMS_METADATA.GET_DDL': {
    counts: [2, 3],
    type: () => ({ kind: 'CLOB' }),
    call: ([type = null, name = null, owner = null], context) =>
      new Clob(context.definition(toText(type) ?? '', toText(name) ?? '', toText(owner) ?? context.user)),
  },
  SYS_CONTEXT: {
    counts: [2, 2],
    type: () => text,
    call: ([space = null, name = null], context) => {
      if (toText(space)?.toUpperCase() !== 'USERENV') return null;
      return context.userEnvironment(toText(name)?.toUpperCase() ?? '');
    },
  },
};

/** undefined: there is no such function here, and the caller says ORA-00904. */
export function findFunction(name: string): SqlFunction | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
