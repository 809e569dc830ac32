import { OraError, SqlDate, SqlTimestamp } from '../wire/values.ts';

const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const element =
  /"([^"]*)"|YYYY|RRRR|YY|RR|MONTH|MON|MM|DDD|DD|DY|HH24|HH12|HH|MI|SSSSS|SS|FF[1-9]?|TZH|TZM|TZR|AM|PM|FM|FX|D|J|[-/,.;: ]|T|Z/giy;

/** A format is cut once: rows that it formats are many. */
const known = new Map<string, readonly string[]>();

function elements(format: string): readonly string[] {
  const cut = known.get(format) ?? cutFormat(format);
  known.set(format, cut);
  return cut;
}

function cutFormat(format: string): string[] {
  const found: string[] = [];
  element.lastIndex = 0;
  while (element.lastIndex < format.length) {
    const match = element.exec(format);
    if (match === null || /^[TZ]$/i.test(match[0])) throw new OraError(1821, 'date format not recognized');
    found.push(match[0]);
  }
  return found;
}

const pad = (value: number, length: number): string => String(value).padStart(length, '0');

/** TO_CHAR of a date or a timestamp. */
export function formatDate(value: SqlDate | SqlTimestamp, format: string): string {
  const date = new Date(value.seconds * 1000);
  let text = '';
  for (const one of elements(format)) text += formatElement(one, date, value);
  return text;
}

function formatElement(one: string, date: Date, value: SqlDate | SqlTimestamp): string {
  if (one.startsWith('"')) return one.slice(1, -1);
  const offset = value instanceof SqlTimestamp ? value.offsetMinutes : null;
  switch (one.toUpperCase()) {
    case 'YYYY':
    case 'RRRR':
      return pad(date.getUTCFullYear(), 4);
    case 'YY':
    case 'RR':
      return pad(date.getUTCFullYear() % 100, 2);
    case 'MM':
      return pad(date.getUTCMonth() + 1, 2);
    case 'MON':
      return months[date.getUTCMonth()]!;
    case 'DD':
      return pad(date.getUTCDate(), 2);
    case 'DY':
      return ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'][date.getUTCDay()]!;
    case 'HH24':
      return pad(date.getUTCHours(), 2);
    case 'HH':
    case 'HH12':
      return pad(date.getUTCHours() % 12 || 12, 2);
    case 'MI':
      return pad(date.getUTCMinutes(), 2);
    case 'SS':
      return pad(date.getUTCSeconds(), 2);
    case 'SSSSS':
      return pad(value.seconds % 86_400, 5);
    case 'AM':
    case 'PM':
      return date.getUTCHours() < 12 ? 'AM' : 'PM';
    case 'TZH':
      return zoned(
        offset,
        (minutes) => `${minutes < 0 ? '-' : '+'}${pad(Math.trunc(Math.abs(minutes) / 60), 2)}`,
      );
    case 'TZM':
      return zoned(offset, (minutes) => pad(Math.abs(minutes) % 60, 2));
    case 'TZR':
      return zoned(offset, offsetText);
    case 'FM':
    case 'FX':
      return '';
    default:
      return /^ff/i.test(one) ? fraction(one, value) : punctuation(one);
  }
}

function punctuation(one: string): string {
  if (/^[A-Z]/i.test(one)) throw new OraError(1821, `date format not recognized (${one} is not simulated)`);
  return one;
}

function fraction(one: string, value: SqlDate | SqlTimestamp): string {
  if (value instanceof SqlDate) throw new OraError(1821, 'date format not recognized');
  return pad(value.nanoseconds, 9).slice(0, Number(one[2] ?? 6));
}

function zoned(offset: number | null, write: (minutes: number) => string): string {
  if (offset === null) throw new OraError(1821, 'date format not recognized');
  return write(offset);
}

export function offsetText(minutes: number): string {
  const absolute = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${pad(Math.trunc(absolute / 60), 2)}:${pad(absolute % 60, 2)}`;
}

const widths: Record<string, number> = {
  YYYY: 4,
  RRRR: 4,
  YY: 2,
  RR: 2,
  MM: 2,
  DD: 2,
  HH24: 2,
  HH: 2,
  HH12: 2,
  MI: 2,
  SS: 2,
  TZH: 3,
  TZM: 2,
};

/** TO_DATE, TO_TIMESTAMP, TO_TIMESTAMP_TZ: fields that the format does not name are the first of their kind. */
export function parseDate(
  text: string,
  format: string,
): { seconds: number; nanoseconds: number; offset: number | null } {
  const fields = new Map<string, string>();
  let at = 0;
  for (const one of elements(format)) {
    const key = one.toUpperCase();
    if (key === 'FX' || key === 'FM') continue;
    if (one.startsWith('"') || !/^[A-Z]/.test(key)) {
      const literal = one.replaceAll('"', '');
      if (text.slice(at, at + literal.length) !== literal && at < text.length)
        throw new OraError(1861, 'literal does not match format string');
      at += literal.length;
      continue;
    }
    const found = fieldPattern(key).exec(text.slice(at));
    if (found === null) {
      if (at >= text.length && ['HH24', 'MI', 'SS', 'FF', 'TZH', 'TZM'].includes(key)) continue;
      throw new OraError(
        key === 'MON' ? 1843 : 1861,
        key === 'MON' ? 'not a valid month' : 'literal does not match format string',
      );
    }
    fields.set(key.startsWith('FF') ? 'FF' : key, found[0]);
    at += found[0].length;
  }
  if (at < text.length)
    throw new OraError(1830, 'date format picture ends before converting entire input string');
  return assemble(fields);
}

function fieldPattern(key: string): RegExp {
  if (key === 'MON') return new RegExp(`^(?:${months.join('|')})`, 'i');
  if (key.startsWith('FF')) return /^\d{1,9}/;
  if (key === 'TZH') return /^[-+]\d\d/;
  if (key === 'TZR') return /^[-+]\d\d:\d\d|^UTC/;
  const width = widths[key];
  if (width === undefined) throw new OraError(1821, 'date format not recognized');
  return new RegExp(`^\\d{1,${width}}`);
}

function assemble(fields: ReadonlyMap<string, string>): {
  seconds: number;
  nanoseconds: number;
  offset: number | null;
} {
  const number = (key: string, otherwise: number): number => Number(fields.get(key) ?? otherwise);
  const short = fields.get('RR') ?? fields.get('YY');
  const year =
    short === undefined
      ? number('YYYY', number('RRRR', 2026))
      : Number(short) + (Number(short) < 50 ? 2000 : 1900);
  const named = fields.get('MON');
  const month = named === undefined ? number('MM', 1) : months.indexOf(named.toUpperCase()) + 1;
  const day = number('DD', 1);
  if (month < 1 || month > 12) throw new OraError(1843, 'not a valid month');
  if (day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate())
    throw new OraError(1847, 'day of month must be between 1 and last day of month');
  const hour = number('HH24', 0);
  if (hour > 23) throw new OraError(1850, 'hour must be between 0 and 23');
  if (number('MI', 0) > 59) throw new OraError(1851, 'minutes must be between 0 and 59');
  if (number('SS', 0) > 59) throw new OraError(1852, 'seconds must be between 0 and 59');
  const seconds = Date.UTC(year, month - 1, day, hour, number('MI', 0), number('SS', 0)) / 1000;
  const nanoseconds = Number((fields.get('FF') ?? '').padEnd(9, '0'));
  const hours = fields.get('TZH');
  const sign = hours?.startsWith('-') === true ? -1 : 1;
  const offset = hours === undefined ? null : Number(hours) * 60 + sign * number('TZM', 0);
  return { seconds, nanoseconds, offset };
}

export function parseDateLiteral(text: string, at: number): SqlDate {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) throw new OraError(1861, 'literal does not match format string', at);
  return new SqlDate(parseDate(text, 'YYYY-MM-DD').seconds);
}

export function parseTimestampLiteral(text: string, at: number): SqlTimestamp {
  const found = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?: ?([-+]\d\d):(\d\d))?$/.exec(text);
  if (found === null) throw new OraError(1861, 'literal does not match format string', at);
  const { seconds } = parseDate(found[1]!, 'YYYY-MM-DD HH24:MI:SS');
  const sign = found[3]?.startsWith('-') === true ? -1 : 1;
  const offset = found[3] === undefined ? null : Number(found[3]) * 60 + sign * Number(found[4]);
  return new SqlTimestamp(seconds, Number((found[2] ?? '').padEnd(9, '0')), offset);
}
