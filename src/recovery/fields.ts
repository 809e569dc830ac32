import { ClonaError } from '../errors.ts';
import { toInstant } from './instant.ts';
import { toPosition, type Position } from './position.ts';

/**
 * Readers of single fields of a parsed JSON file. Each takes the place as (list, index, field) and spells it
 * (`logs[17].next`) only when it refuses: a catalog may have a million logs.
 */
export type RawRecord = Readonly<Record<string, unknown>>;

export interface Place {
  list: string;
  /** Negative: the field lies at the top of the file. */
  index: number;
}

export const top: Place = { list: '', index: -1 };

export function refuse(place: Place, field: string, problem: string, hint?: string): never {
  const path = spell(place, field);
  throw new ClonaError('catalogInvalid', `${path}: ${problem}`, { hint, details: { path } });
}

function spell({ list, index }: Place, field: string): string {
  if (index < 0) return field;
  return field === '' ? `${list}[${index}]` : `${list}[${index}].${field}`;
}

/** A value as a message shows it: short, on one line. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}

export function readRecord(value: unknown, place: Place, field: string): RawRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse(place, field, `an object is needed here, found ${showValue(value)}`);
  }
  return value as RawRecord; // JSON objects are exactly this
}

export function readList(record: RawRecord, field: string, fallback?: []): unknown[] {
  const value = record[field];
  if (value === undefined && fallback !== undefined) return fallback;
  if (!Array.isArray(value)) refuse(top, field, `a list is needed here, found ${showValue(value)}`);
  return value;
}

export function readText(record: RawRecord, field: string, place: Place): string {
  const value = record[field];
  if (typeof value !== 'string' || value === '') {
    refuse(place, field, `a text is needed here, found ${showValue(value)}`);
  }
  return value;
}

export function readOptionalText(record: RawRecord, field: string, place: Place): string | null {
  const value = record[field];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string')
    refuse(place, field, `a text or null is needed here, found ${showValue(value)}`);
  return value;
}

export function readBoolean(record: RawRecord, field: string, place: Place): boolean {
  const value = record[field];
  if (typeof value !== 'boolean') {
    refuse(place, field, `true or false is needed here, found ${showValue(value)}`);
  }
  return value;
}

export function readInteger(record: RawRecord, field: string, place: Place, lowest: number): number {
  const value = record[field];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < lowest) {
    refuse(place, field, `a whole number from ${lowest} is needed here, found ${showValue(value)}`);
  }
  return value;
}

export function readOneOf<Word extends string>(
  record: RawRecord,
  field: string,
  place: Place,
  words: readonly Word[],
): Word {
  const value = record[field];
  // indexOf takes only a Word, but answers -1 for whatever else the file holds.
  const at = words.indexOf(value as Word);
  if (at < 0) refuse(place, field, `one of ${words.join(', ')} is needed here, found ${showValue(value)}`);
  return words[at]!; // found there
}

const positionHint = 'a position is a decimal number from 0 to 18446744073709551615, as a string';

export function readPosition(record: RawRecord, field: string, place: Place): Position {
  const value = record[field];
  const position = typeof value === 'string' ? toPosition(value) : null;
  if (position === null) refuse(place, field, `${showValue(value)} is not a position`, positionHint);
  return position;
}

/** null has a meaning of its own where a position may be absent, so it must be written. */
export function readPositionOrNull(record: RawRecord, field: string, place: Place): Position | null {
  return record[field] === null ? null : readPosition(record, field, place);
}

const timeHint = 'write a time with its offset: 2017-03-08T17:52:00Z or 2017-03-08T19:52:00+02:00';

/** The text as it stands in the file, once it is known to be an instant; missing counts as null. */
export function readTime(record: RawRecord, field: string, place: Place): string | null {
  const value = record[field];
  if (value === null || value === undefined) return null;
  if (typeof value !== 'string' || toInstant(value) === null) {
    refuse(place, field, `${showValue(value)} is not a time with an offset`, timeHint);
  }
  return value;
}
