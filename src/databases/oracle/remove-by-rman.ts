import { ClonaError } from '../../errors.ts';
import { judgeJobLog } from '../../proof/job-log.ts';
import { asPosition } from '../../recovery/position.ts';
import type { OracleSession } from './connect.ts';
import { makeFolder, runRman, type OracleTools } from './guest-tools.ts';
import { judgeRecovery } from './judge-recovery.ts';
import type { ServerLog } from './rman-removal.ts';

/** Archived logs of the CURRENT incarnation on the server's own disks. */
export async function readServerLogs(session: OracleSession): Promise<ServerLog[]> {
  const rows = await session.query(
    `SELECT TO_CHAR(THREAD#), TO_CHAR(SEQUENCE#), TO_CHAR(NEXT_CHANGE#), TO_CHAR(BLOCKS), TO_CHAR(BLOCK_SIZE)
       FROM V$ARCHIVED_LOG
      WHERE STANDBY_DEST = 'NO' AND ARCHIVED = 'YES' AND DELETED = 'NO' AND STATUS = 'A'
        AND RESETLOGS_CHANGE# = (SELECT RESETLOGS_CHANGE# FROM V$DATABASE)`,
    {},
    'reading V$ARCHIVED_LOG',
  );
  const logs = new Map<string, ServerLog>();
  for (const [thread, sequence, next, blocks, blockSize] of rows) {
    const bytes = Number(blocks ?? 0) * Number(blockSize ?? 0);
    const known = logs.get(`${thread}/${sequence}`);
    if (known !== undefined) known.bytes += bytes;
    else
      logs.set(`${thread}/${sequence}`, {
        thread: Number(thread),
        sequence: Number(sequence),
        next: asPosition(BigInt(next ?? '0')),
        bytes,
      });
  }
  return [...logs.values()];
}

/**
 * Runs a program of `writeRemovalProgram` (R11: only RMAN deletes in its area). null: its whole log is that of a success; else what
 * it says. What is gone is asked of the control file in any case: a program ends at its first error.
 */
export async function removeByRman(tools: OracleTools, program: string): Promise<ClonaError | null> {
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  const { text, exitCode } = await runRman(tools, 'remove', program);
  const { verdict, errors } = judgeJobLog(text);
  const codes = judgeRecovery({ text, exitCode })?.details?.['codes'];
  const isWhole = exitCode === 0 && (verdict === 'ok' || verdict === 'warning');
  if (isWhole) return null;
  return new ClonaError('jobLogFailed', `the log of RMAN's removal is ${verdict}`, {
    hint: 'clona retention prints the same program: run it by hand and read what RMAN says',
    details: { verdict, errors, codes: codes ?? [], log: text.slice(-2000) },
  });
}
