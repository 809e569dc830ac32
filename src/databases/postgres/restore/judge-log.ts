import { ClonaError, type ErrorKind } from '../../../errors.ts';

/** What the server's log says of a recovery; its messages are asked for in English (lc_messages = C). Pure. */
export type RecoveryVerdict =
  /** The log ended before a record at or behind the target: harmless when everything up to the target was there. */
  { kind: 'endedBeforeTarget' } | { kind: 'failed'; error: ClonaError };

interface LogRule {
  pattern: RegExp;
  error: ErrorKind;
  say: string;
  hint: string;
}

const log =
  'clona catalog --archive DIR names the gaps; another backup, the mirror or an earlier target may serve';

/**
 * In this order: the first that matches is the cause, the later messages its consequences. The server's own hint to remove
 * backup_label is never passed on: following it corrupts the cluster (DOMAIN.md).
 */
const rules: readonly LogRule[] = [
  {
    pattern: /No space left on device|Disk quota exceeded/,
    error: 'diskFull',
    say: 'the disk filled up while the log was replayed',
    hint: 'free space on the disk of the target and run the same command again',
  },
  {
    pattern: /requested recovery stop point is before consistent recovery point/,
    error: 'targetUnreachable',
    say: 'the target lies before the backup is consistent',
    hint: 'name a later target or an older backup; clona plan shows the nearest ones',
  },
  {
    pattern: /WAL ends before (end of online backup|consistent recovery point)/,
    error: 'archiveGap',
    say: 'the log ends before the backup is consistent',
    hint: log,
  },
  {
    pattern: /could not (locate (a valid|required) checkpoint record|find redo location)/,
    error: 'archiveGap',
    say: 'the log with which recovery must begin is not there',
    hint: log,
  },
  {
    pattern: /requested timeline \d+ (is not a child of|does not contain)/,
    error: 'targetUnreachable',
    say: 'the timeline asked for does not come from this backup',
    hint: 'clona incarnations shows the branches; a backup of the same branch is needed',
  },
  {
    pattern: /recovery target timeline \d+ does not exist/,
    error: 'archiveDamaged',
    say: 'the .history file of the timeline asked for is not there',
    hint: 'take it from the mirror',
  },
  {
    pattern: /WAL file is from different database system|database system identifier differs/,
    error: 'archiveForeign',
    say: 'the log belongs to another database',
    hint: 'the archive holds files of two databases; take the right ones from the mirror',
  },
  {
    pattern: /WAL contains references to invalid pages/,
    error: 'archiveDamaged',
    say: 'the log changes pages that the backup does not have',
    hint: 'the backup is damaged beyond what its checksums tell; choose another one (--until backup:LABEL)',
  },
  {
    pattern: /incorrect checksum in control file|database files are incompatible with server/,
    error: 'databaseVersion',
    say: 'this server cannot read the files of the backup',
    hint: 'the same major version, built with the same block sizes, is needed',
  },
  {
    pattern: /could not (?:access file|load library) "([^"]+)"/,
    error: 'serverUnfit',
    say: 'a library that the cluster loads is missing here',
    hint: 'install the extension that brings it',
  },
  {
    pattern: /resource manager with ID \d+ not registered/,
    error: 'serverUnfit',
    say: 'an extension that wrote log of its own is not loaded',
    hint: 'install the extension on this host',
  },
  {
    pattern:
      /maximum number of prepared transactions reached|recovery aborted because of insufficient parameter settings/,
    error: 'serverUnfit',
    say: 'the server has lower limits than production had',
    hint: 'give the settings of production (max_connections, max_prepared_transactions …)',
  },
  {
    pattern: /could not (create shared memory segment|map anonymous shared memory|create semaphores)/,
    error: 'databaseFailed',
    say: 'this host has too little memory for the server',
    hint: 'free memory, or restore on another host',
  },
];

const endedBeforeTarget = /recovery ended before configured recovery target was reached/;

/** Judges the text that the server wrote since it was started. */
export function judgeRecoveryLog(text: string): RecoveryVerdict {
  const fatal = /^.*\b(?:FATAL|PANIC):\s*(.*)$/m.exec(text)?.[1] ?? '';
  for (const { pattern, error, say, hint } of rules) {
    const found = pattern.exec(text);
    if (found === null) continue;
    return {
      kind: 'failed',
      error: new ClonaError(error, say, { hint, cause: new Error(lineAround(text, found.index)) }),
    };
  }
  if (endedBeforeTarget.test(text)) return { kind: 'endedBeforeTarget' };
  return {
    kind: 'failed',
    error: new ClonaError(
      'recoveryFailed',
      `the server gave up: ${fatal === '' ? 'without a word in its log' : fatal}`,
      {
        hint: 'its log lies beside the target',
        cause: new Error(text.slice(-1500).trim()),
      },
    ),
  };
}

function lineAround(text: string, index: number): string {
  return text.slice(text.lastIndexOf('\n', index) + 1).split('\n', 1)[0] ?? '';
}

/** Time of the last transaction that was replayed, as the server says it; null where it replayed none. */
export function readLastTransactionTime(text: string): string | null {
  const [, time] = /last completed transaction was at log time (.+)$/m.exec(text) ?? [];
  return time === undefined ? null : toIso(time);
}

/** `2026-11-21 10:00:00.123456+00`: the server's own form, in UTC because it runs with TZ=UTC. */
function toIso(time: string): string | null {
  const [, day, clock, offset] =
    /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:\s?([+-]\d\d(?::?\d\d)?|UTC|GMT))$/.exec(time.trim()) ??
    [];
  if (day === undefined || clock === undefined || offset === undefined) return null;
  const zone = /^[+-]\d\d$/.test(offset) ? `${offset}:00` : /^[A-Z]/.test(offset) ? 'Z' : offset;
  const parsed = new Date(`${day}T${clock}${zone}`);
  return Number.isNaN(parsed.getTime()) ? null : parsed.toISOString();
}
