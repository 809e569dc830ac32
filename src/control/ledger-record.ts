import { createHash } from 'node:crypto';
import { canonicalJson, type Json } from './canonical-json.ts';

/** One fact, chained to the one before it (R22). */
export interface LedgerRecord {
  sequence: number;
  /** ISO 8601 in UTC with milliseconds. */
  time: string;
  /** What kind of fact: `backup.taken`, `signoff.given` … */
  kind: string;
  /** The run that found it; null for facts of the ledger itself. */
  run: string | null;
  /** Names the step that wrote it, so that a step that is repeated does not write twice; null: not repeatable. */
  key: string | null;
  payload: Json;
  /** Hash of the record before; 64 zeros for the first. */
  previous: string;
  /** SHA-256, hex, over the canonical JSON of all of the above. */
  hash: string;
}

export type NewRecord = Pick<LedgerRecord, 'kind' | 'run' | 'key' | 'payload'>;

export const noRecord = '0'.repeat(64);

export function hashRecord(record: Omit<LedgerRecord, 'hash'>): string {
  const { sequence, time, kind, run, key, payload, previous } = record;
  return createHash('sha256')
    .update(canonicalJson({ sequence, time, kind, run, key, payload, previous }))
    .digest('hex');
}

/** The record that follows `last` (null: the first of a ledger). */
export function chainRecord(last: LedgerRecord | null, entry: NewRecord, now: Date): LedgerRecord {
  const record = {
    sequence: (last?.sequence ?? 0) + 1,
    time: now.toISOString(),
    kind: entry.kind,
    run: entry.run,
    key: entry.key,
    payload: entry.payload,
    previous: last?.hash ?? noRecord,
  };
  return { ...record, hash: hashRecord(record) };
}

const fields = ['hash', 'key', 'kind', 'payload', 'previous', 'run', 'sequence', 'time'];

/** Reads one line of an export, to the byte; a string says what is wrong with it. */
export function parseRecord(line: string): LedgerRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
    // A second spelling (spaces, doubled keys, other escapes) would carry bytes that no hash covers.
    if (canonicalJson(value) !== line) return 'is not written in canonical JSON';
  } catch {
    return 'is not JSON';
  }
  if (typeof value !== 'object' || value === null || Object.keys(value).sort().join() !== fields.join()) {
    return 'has not the fields of a record';
  }
  // The fields are known; their types are looked at next.
  const record = value as Record<keyof LedgerRecord, unknown>;
  const isText = (field: unknown): boolean => typeof field === 'string' && field !== '';
  const isWell =
    Number.isSafeInteger(record.sequence) &&
    isTime(record.time) &&
    isText(record.kind) &&
    (record.run === null || isText(record.run)) &&
    (record.key === null || isText(record.key)) &&
    isHash(record.previous) &&
    isHash(record.hash);
  return isWell ? (record as LedgerRecord) : 'has a field of the wrong type';
}

export function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

export function isTime(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const time = new Date(value);
  return !Number.isNaN(time.getTime()) && time.toISOString() === value;
}
