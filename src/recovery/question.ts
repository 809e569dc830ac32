import { ClonaError } from '../errors.ts';
import { toInstant } from './instant.ts';
import { parsePosition, type Position } from './position.ts';

/** What is to be reached. */
export type Until =
  | { kind: 'latest' }
  | { kind: 'position'; position: Position }
  | { kind: 'time'; instantMs: number }
  | { kind: 'incarnation'; incarnation: number; position: Position | null }
  | { kind: 'backup'; label: string };

export const lostWords = ['database', 'online-log', 'all-logs', 'everything'] as const;

/** What is gone, each with what stands before it (A6). Backups are lost by their `state` alone. */
export type Lost = (typeof lostWords)[number];

/** How the database ended when only its log was lost (A6). */
export type Closed = 'cleanly' | 'crashed';

export interface Question {
  until: Until;
  lost: Lost;
  /** Only the log is lost, the datafiles are intact; `lost` is then what a restore would have to live with. */
  logOnly?: Closed;
}

export const defaultQuestion: Question = { until: { kind: 'latest' }, lost: 'database' };

const untilHint =
  'position:N, time:2017-03-08T17:52:00Z, latest, incarnation:I, incarnation:I@N or backup:LABEL';

/** Reads `--until`. Refuses with `questionInvalid` (A20). */
export function parseUntil(text: string): Until {
  if (text === 'latest') return { kind: 'latest' };
  const colon = text.indexOf(':');
  const value = text.slice(colon + 1);
  switch (text.slice(0, colon + 1)) {
    case 'position:':
      return { kind: 'position', position: parsePosition(value, '--until') };
    case 'time:':
      return { kind: 'time', instantMs: parseInstant(value, '--until') };
    case 'incarnation:':
      return parseIncarnationUntil(value);
    case 'backup:':
      if (value !== '') return { kind: 'backup', label: value };
      break;
  }
  throw new ClonaError('questionInvalid', `--until: "${text.slice(0, 60)}" is not a target`, {
    hint: untilHint,
  });
}

function parseIncarnationUntil(value: string): Until {
  const at = value.indexOf('@');
  const id = at < 0 ? value : value.slice(0, at);
  const incarnation = Number(id);
  if (!/^[1-9][0-9]*$/.test(id) || !Number.isSafeInteger(incarnation)) {
    throw new ClonaError('questionInvalid', `--until: "${id.slice(0, 40)}" is not an incarnation`, {
      hint: untilHint,
    });
  }
  return {
    kind: 'incarnation',
    incarnation,
    position: at < 0 ? null : parsePosition(value.slice(at + 1), '--until'),
  };
}

/** An ISO time with its offset, in milliseconds since 1970; `where` begins the refusal. */
export function parseInstant(text: string, where: string): number {
  const instantMs = toInstant(text);
  if (instantMs === null) {
    throw new ClonaError('questionInvalid', `${where}: "${text.slice(0, 60)}" is not a time with an offset`, {
      hint: 'write 2017-03-08T17:52:00Z or 2017-03-08T19:52:00+02:00',
    });
  }
  return instantMs;
}
