import { Clob, SqlDate, SqlTimestamp, type Column, type SqlValue } from '../wire/values.ts';
import { parseDate } from './formats.ts';
import type { Row } from './scope.ts';

/** What a test writes: dates and timestamps as wall-clock text, NUMBER as number, bigint or decimal text. */
export type Given = Record<string, string | number | bigint | null | Uint8Array>;

/** Rows by column name in the view's own order; a column that the view has not is a mistake of the test. */
export function rowsFrom(name: string, columns: readonly Column[], given: Iterable<Given>): Row[] {
  const places = new Map(columns.map((column, index) => [column.name, index]));
  const rows: Row[] = [];
  for (const one of given) {
    const row: SqlValue[] = Array.from({ length: columns.length }, () => null);
    for (const [key, value] of Object.entries(one)) {
      const index = places.get(key);
      if (index === undefined) throw new Error(`${name} has no column ${key}`);
      row[index] = convert(value, columns[index]!, name);
    }
    rows.push(row);
  }
  return rows;
}

function convert(value: Given[string], { name, type }: Column, view: string): SqlValue {
  if (value === undefined || value === null || value === '') return null;
  const fits = (fitting: boolean): void => {
    if (!fitting) throw new Error(`${view}.${name} is ${type.kind}, not ${String(value)}`);
  };
  switch (type.kind) {
    case 'NUMBER':
      if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
      if (typeof value === 'string' && /^-?\d+$/.test(value)) return BigInt(value);
      fits(typeof value === 'bigint');
      return value;
    case 'DATE':
      fits(typeof value === 'string');
      return new SqlDate(parseDate(value as string, 'YYYY-MM-DD HH24:MI:SS').seconds);
    case 'TIMESTAMP': {
      fits(typeof value === 'string');
      const { seconds, nanoseconds } = parseDate(value as string, 'YYYY-MM-DD HH24:MI:SS.FF9');
      return new SqlTimestamp(seconds, nanoseconds);
    }
    case 'TIMESTAMP WITH TIME ZONE': {
      fits(typeof value === 'string');
      const { seconds, nanoseconds, offset } = parseDate(
        value as string,
        'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM',
      );
      return new SqlTimestamp(seconds, nanoseconds, offset ?? 0);
    }
    case 'RAW':
      fits(value instanceof Uint8Array);
      return value;
    case 'CLOB':
      return new Clob(String(value));
    case 'VARCHAR2':
      fits(typeof value === 'string');
      return value;
  }
}
