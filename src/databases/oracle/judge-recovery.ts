import { ClonaError } from '../../errors.ts';
import { recoveryCodeTable } from './recovery-codes.ts';

interface Found {
  code: string;
  line: string;
}

export interface RecoveryOutput {
  /** What rman, sqlplus and nid printed, in any language. */
  text: string;
  exitCode: number | null;
  /** V$DATABASE.OPEN_MODE afterwards, asked of the clone; undefined: it could not be asked. */
  openMode?: string | undefined;
}

/**
 * Whether a restore succeeded, and if not, why and what would help (R15): by codes and by the state of the database, never by
 * words. null: it succeeded. A log after the last one that RMAN does not know (RMAN-06054) does no harm once the database is
 * open; nothing else is forgiven.
 */
export function judgeRecovery({ text, exitCode, openMode }: RecoveryOutput): ClonaError | null {
  const found = findCodes(text);
  const isOpen = openMode === 'READ WRITE';
  const harmful = found.filter(({ code }) => isReport(code) && !(isOpen && atTheEnd.has(code)));
  if (harmful.length === 0 && isOpen) return null;
  if (harmful.length === 0 && openMode === undefined && exitCode === 0) return null;
  const codes = [...new Set(found.map(({ code }) => code))];
  for (const [code, { kind, what, hint }] of recoveryCodeTable) {
    const one = lowest(harmful.filter((other) => other.code === code));
    if (one === undefined) continue;
    const sentence = fillNumbers(what, one.line);
    return new ClonaError(kind, `${sentence} (${code})`, {
      hint,
      details: { codes, line: one.line.slice(0, 300) },
    });
  }
  // The last line of a stack names the cause best; what frames it says nothing.
  const cause = harmful.findLast(({ code }) => !frames.has(code)) ?? harmful[0];
  const said =
    cause === undefined ? `it ended with exit code ${exitCode ?? 'none'}` : cause.line.trim().slice(0, 200);
  return new ClonaError('recoveryFailed', `the restore did not succeed: ${said}`, {
    hint: 'the whole output is kept as evidence; look the codes up in Oracle Database Error Messages',
    details: { codes, openMode: openMode ?? null, exitCode },
  });
}

/** RMAN lists missing logs from the newest down; the way ends at the oldest, the one with the lowest SCN. */
function lowest(found: readonly Found[]): Found | undefined {
  const scnOf = ({ line }: Found): bigint => BigInt(line.match(/\d+/g)?.at(-1) ?? 0);
  return found.reduce<Found | undefined>(
    (low, one) => (low === undefined || scnOf(one) < scnOf(low) ? one : low),
    undefined,
  );
}

/** What RMAN says when there is no further log, and what frames it. */
const atTheEnd: ReadonlySet<string> = new Set([
  'RMAN-06054',
  'RMAN-00571',
  'RMAN-00569',
  'RMAN-03002',
  'RMAN-03015',
  'RMAN-11003',
]);

const frames: ReadonlySet<string> = new Set(['RMAN-00571', 'RMAN-00569']);

/** Codes that only tell how recovery goes on: which log comes next, that one is no longer needed. */
const talk: ReadonlySet<string> = new Set([
  'ORA-00278',
  'ORA-00279',
  'ORA-00280',
  'ORA-00289',
  'ORA-01110',
  'ORA-00277',
  'ORA-01112',
  'ORA-01507',
  'ORA-01109',
]);

function isReport(code: string): boolean {
  if (talk.has(code)) return false;
  // With MSGNO RMAN numbers what it tells: 06 and more thousands that are not in the table are no errors by themselves.
  if (code.startsWith('RMAN-')) return recoveryCodeTable.has(code) || /^RMAN-0(?:[0-3]|4)/.test(code);
  return true;
}

/** Codes at the beginning of a line report; inside a line they explain another one. */
function findCodes(text: string): Found[] {
  const found: Found[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*((?:ORA|RMAN|NID|SP2|TNS|LRM)-)(\d{3,5})(?!\d)/.exec(line);
    if (match !== null)
      found.push({ code: `${match[1]}${(match[2] ?? '').padStart(match[1] === 'SP2-' ? 4 : 5, '0')}`, line });
  }
  return found;
}

/** Numbers keep their order in every translation of a message; what is missing is left out. */
function fillNumbers(what: string, line: string): string {
  const numbers = line.replace(/^\s*\w+-\d+/, '').match(/\d+/g) ?? [];
  return what.replaceAll(/\$(\d)/g, (_, index: string) => numbers[Number(index) - 1] ?? '?');
}
