import { OraError, type SqlValue } from '../wire/values.ts';

export interface PlsqlRecord {
  kind: 'record';
  fields: Map<string, PlsqlValue>;
}

/** An index-by table or a nested one. */
export interface PlsqlList {
  kind: 'list';
  items: Map<number, PlsqlValue>;
}

export type PlsqlValue = SqlValue | boolean | PlsqlRecord | PlsqlList;

/** An argument of a packaged routine; what is a variable or a bind can be set. */
export interface Argument {
  value: PlsqlValue;
  set?: (value: PlsqlValue) => void;
}

export function record(fields: Record<string, PlsqlValue>): PlsqlRecord {
  return { kind: 'record', fields: new Map(Object.entries(fields)) };
}

export function list(values: readonly PlsqlValue[]): PlsqlList {
  return { kind: 'list', items: new Map(values.map((value, index) => [index + 1, value])) };
}

export function isRecord(value: PlsqlValue): value is PlsqlRecord {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'record';
}

export function isList(value: PlsqlValue): value is PlsqlList {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'list';
}

export function toScalar(value: PlsqlValue): SqlValue {
  if (isRecord(value) || isList(value) || typeof value === 'boolean') {
    throw new OraError(6550, 'line 1, column 1:\nPLS-00382: expression is of wrong type');
  }
  return value;
}

/** Text of a scalar; NULL is null. */
export function textOf(value: PlsqlValue): string | null {
  const scalar = toScalar(value);
  if (scalar === null || scalar === '') return null;
  if (typeof scalar === 'object') throw new OraError(6502, 'PL/SQL: numeric or value error');
  return String(scalar);
}

export function numberOf(value: PlsqlValue): number | null {
  const text = textOf(value);
  if (text === null) return null;
  const number = Number(text);
  if (Number.isNaN(number)) {
    throw new OraError(6502, 'PL/SQL: numeric or value error: character to number conversion error');
  }
  return number;
}
