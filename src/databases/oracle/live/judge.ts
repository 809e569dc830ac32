import { ClonaError } from '../../../errors.ts';
import { judgeRecovery } from '../judge-recovery.ts';
import type { RecoveryCodeRow } from '../recovery-codes.ts';

const other = "the machine's snapshot is the other way back";
const area = {
  kind: 'diskFull',
  what: "LIVE's recovery area is full",
  hint: 'raise DB_RECOVERY_FILE_DEST_SIZE, or back up and delete through RMAN; a restore point that nobody needs any more: DROP RESTORE POINT',
} as const;

/**
 * What hinders LIVE on its way back, or a restore point, in the words of LIVE: the table of restores speaks of clones. The first row
 * that is met counts. Source: Oracle Database Error Messages; Backup and Recovery User's Guide, Flashback Database.
 */
const rows: readonly [readonly string[], RecoveryCodeRow][] = [
  [['ORA-19809', 'ORA-19804', 'ORA-19815', 'ORA-00257', 'ORA-16038', 'ORA-16014'], area],
  [
    ['ORA-38760'],
    {
      kind: 'recoveryFailed',
      what: 'LIVE cannot go on keeping flashback logs',
      hint: 'room in the recovery area, or DROP RESTORE POINT in the mounted state, lets it open again; what was kept is lost then',
    },
  ],
  [
    ['ORA-38729', 'ORA-38753', 'ORA-38770', 'ORA-38796'],
    {
      kind: 'recoveryFailed',
      what: 'what FLASHBACK DATABASE needs is not there: a flashback log is missing, or a file was dropped, shrunk or restored since',
      hint: other,
    },
  ],
  [
    ['ORA-38754', 'ORA-38755'],
    {
      kind: 'recoveryFailed',
      what: 'FLASHBACK DATABASE needs a log that is not there any more',
      hint: `restore the archived log that is named, and begin again; ${other}`,
    },
  ],
  [
    ['ORA-38780', 'ORA-38727', 'ORA-38726'],
    { kind: 'recoveryFailed', what: 'there is no such restore point to go back to', hint: other },
  ],
  [
    ['ORA-00439'],
    {
      kind: 'serverUnfit',
      what: 'this edition has no FLASHBACK DATABASE',
      hint: "the machine's snapshot is the way back",
    },
  ],
  [
    ['ORA-38784', 'ORA-38785', 'ORA-38786', 'ORA-38787'],
    {
      kind: 'serverUnfit',
      what: 'LIVE can keep no guaranteed restore point',
      hint: 'it needs ARCHIVELOG mode and a recovery area, and before 11.2 the mounted state',
    },
  ],
  [
    ['ORA-01031', 'ORA-01017', 'ORA-12560', 'ORA-12547'],
    {
      kind: 'databaseLogin',
      what: 'the user of clona is no SYSDBA on the machine of LIVE',
      hint: 'group dba (ORA_DBA on Windows), ORACLE_HOME and ORACLE_SID of LIVE',
    },
  ],
];

/** null: it went well. The output is of `sqlPlus`, which ends at the first error. */
export function judgeLive(text: string, exitCode: number | null): ClonaError | null {
  const problem = judgeRecovery({ text, exitCode });
  if (problem === null) return null;
  const lines = text.split(/\r?\n/).filter((line) => /^\s*(?:ORA|SP2|LRM|TNS)-\d{4,5}/.test(line));
  const details = { ...problem.details, lines: lines.slice(0, 10) };
  for (const [codes, { kind, what, hint }] of rows) {
    const code = codes.find((one) => lines.some((line) => line.trim().startsWith(one)));
    if (code !== undefined) return new ClonaError(kind, `${what} (${code})`, { hint, details });
  }
  const said = lines.at(-1)?.trim() ?? problem.message;
  return new ClonaError('recoveryFailed', `LIVE's database: ${said.slice(0, 200)}`, {
    hint: 'its alert log says more; the whole output lies in the folder of the run',
    details,
  });
}
