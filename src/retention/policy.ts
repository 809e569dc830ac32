import { readRecord, refuse, showValue, top, type RawRecord } from '../recovery/fields.ts';
import { parseJson } from '../recovery/json-text.ts';

/** What is to be kept; the rules are a union, 0 turns one off (A17). */
export interface Policy {
  /** The n newest. */
  redundancy: number;
  /** All of the last d days, and the newest before them. */
  windowDays: number;
  /** How long the backups and logs of an ORPHAN are kept. */
  orphanDays: number;
}

const fields = ['redundancy', 'windowDays', 'orphanDays'] as const satisfies readonly (keyof Policy)[];

/**
 * Reads a policy file. A rule that is absent is off; an unknown one is refused, because a misspelt rule would
 * be one that keeps nothing. Throws `catalogInvalid` with the field's name.
 */
export function parsePolicy(text: string): Policy {
  const record = readRecord(parseJson(text, 'the policy'), top, 'the policy');
  const unknown = Object.keys(record).find((field) => !fields.some((known) => known === field));
  if (unknown !== undefined)
    refuse(top, unknown, 'there is no such rule', `the rules are ${fields.join(', ')}`);
  return {
    redundancy: readRule(record, 'redundancy', true),
    windowDays: readRule(record, 'windowDays', false),
    orphanDays: readRule(record, 'orphanDays', false),
  };
}

function readRule(record: RawRecord, field: keyof Policy, whole: boolean): number {
  const value = record[field] ?? 0;
  if (typeof value !== 'number' || value < 0 || value === Infinity || (whole && !Number.isInteger(value))) {
    const kind = whole ? 'a whole number' : 'a number';
    refuse(top, field, `${kind} from 0 is needed here, found ${showValue(value)}`);
  }
  return value;
}
