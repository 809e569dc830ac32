import { join } from 'node:path';
import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import { parseDate } from '../sql/formats.ts';
import type { Action, Session } from './session.ts';
import { archiveFolder, mounted, saveControl, type Database } from './physical/database.ts';
import { logFileName } from './physical/checkpoint.ts';
import { controlFileLogs, recover, wouldFail, type Until } from './physical/recover.ts';
import { loadAll } from './physical/lifecycle.ts';
import type { ControlFile } from './physical/types.ts';
import { stampOf } from './physical/stamps.ts';
import { hostTime } from './instance.ts';
import { databaseOf } from './startup.ts';

export interface RecoverRequest {
  until: Until;
  usingBackupControlFile: boolean;
}

/** What follows RECOVER: [AUTOMATIC] DATABASE [USING BACKUP CONTROLFILE] [UNTIL CHANGE n | TIME '…' | CANCEL]. */
export function readRecover(cursor: TokenCursor, hostOffsetMinutes: number): RecoverRequest {
  cursor.accept('AUTOMATIC');
  cursor.expect('DATABASE', 905, 'missing keyword');
  const request: RecoverRequest = { until: null, usingBackupControlFile: false };
  while (cursor.token.kind === 'word') {
    if (cursor.accept('USING', 'BACKUP', 'CONTROLFILE')) request.usingBackupControlFile = true;
    else if (cursor.accept('UNTIL', 'CHANGE')) request.until = { scn: BigInt(cursor.next().text) };
    else if (cursor.accept('UNTIL', 'CANCEL')) request.until = { cancel: true };
    else if (cursor.accept('UNTIL', 'TIME')) {
      const { seconds } = parseDate(cursor.string(), 'YYYY-MM-DD:HH24:MI:SS');
      request.until = { at: (seconds - hostOffsetMinutes * 60) * 1000 };
    } else throw new OraError(274, `illegal recovery option ${cursor.token.text}`, cursor.token.at);
  }
  return request;
}

/** ALTER DATABASE RECOVER …, as SQL: DATABASE …, or CANCEL of one that waits. */
export function parseRecover(cursor: TokenCursor, { instance }: Session): Action {
  if (cursor.accept('CANCEL')) return () => cancelRecovery(databaseOf(instance));
  const request = readRecover(cursor, instance.settings.hostOffsetMinutes);
  return () => {
    runRecover(databaseOf(instance), request, null, (milliseconds) => hostTime(instance, milliseconds));
  };
}

/** The answer CANCEL to a recovery that asks for a log. */
function cancelRecovery(database: Database): void {
  mounted(database);
  if (!database.recoveryWaits) throw new OraError(1112, 'media recovery not started');
  database.recoveryWaits = false;
  const inconsistent = wouldFail(database);
  if (inconsistent !== null) throw inconsistent;
}

function isClean(control: ControlFile): boolean {
  const files = loadAll(control);
  return control.files.every(
    ({ file, stopScn }) => stopScn !== null && files.get(file)!.header.checkpointScn === stopScn,
  );
}

/** Recovers as SQL*Plus does it; `logSource`: where logs are looked for. Answers what would be printed. */
export function runRecover(
  database: Database,
  { until, usingBackupControlFile }: RecoverRequest,
  logSource: string | null,
  time: (milliseconds: number) => string,
): string[] {
  const control = mounted(database);
  if (control.type === 'BACKUP' && !usingBackupControlFile) {
    throw new OraError(
      283,
      'recovery session canceled due to errors\nORA-01610: recovery using the BACKUP CONTROLFILE option must be done',
    );
  }
  if (usingBackupControlFile && control.type === 'CURRENT') {
    control.type = 'BACKUP';
    saveControl(database);
  }
  const nameOf = (thread: number, sequence: number, resetlogsAt: number): string =>
    join(logSource ?? archiveFolder(database), logFileName(sequence, thread, stampOf(resetlogsAt)));
  const source = controlFileLogs(database, ({ thread, sequence, incarnation }) =>
    nameOf(thread, sequence, incarnation.resetlogsAt),
  );
  const { applied, missing } = recover(database, until, source);
  const lines = applied.flatMap(({ firstScn, firstAt, thread, sequence, resetlogsAt }) => [
    `ORA-00279: change ${firstScn} generated at ${time(firstAt)} needed for thread ${thread}`,
    `ORA-00289: suggestion : ${nameOf(thread, sequence, resetlogsAt)}`,
    `ORA-00280: change ${firstScn} for thread ${thread} is in sequence #${sequence}`,
    '',
  ]);
  if (until !== null && 'cancel' in until) {
    // After a clean shutdown, with the current control file, there is nothing to ask for.
    if (control.type === 'CURRENT' && isClean(control)) return ['Media recovery complete.'];
    database.recoveryWaits = true;
    throw new OraError(279, `change ${control.scn} generated at ${time(database.now())} needed for thread 1`);
  }
  if (missing !== null) {
    const path = nameOf(missing.thread, missing.sequence, missing.incarnation.resetlogsAt);
    const asked = [
      `change ${missing.from} generated at ${time(database.now())} needed for thread ${missing.thread}`,
      `ORA-00289: suggestion : ${path}`,
      `ORA-00280: change ${missing.from} for thread ${missing.thread} is in sequence #${missing.sequence}`,
      `ORA-00308: cannot open archived log '${path}'`,
      'ORA-27037: unable to obtain file status',
    ];
    const failing = wouldFail(database);
    throw new OraError(279, [...asked, ...(failing === null ? [] : [failing.message])].join('\n'));
  }
  const inconsistent = wouldFail(database);
  if (inconsistent !== null) throw inconsistent;
  return [...lines, 'Media recovery complete.'];
}
