import { ClonaError } from '../../errors.ts';
import { judgeJobLog, type JobLogJudgement } from '../../proof/job-log.ts';
import { reopenProgram, writeBackupProgram, type BackupProgramOptions } from './backup-program.ts';
import { explainBackupFailure } from './backup-failure.ts';
import { makeFolder, runRman, type OracleTools } from './guest-tools.ts';
import { watchLongWork, type WatchOptions } from './long-operations.ts';
import { silent } from '../../progress.ts';
import { judgeRecovery } from './judge-recovery.ts';

/**
 * Lets RMAN back production up on its own machine, and judges the whole text of its log (R15). A cold backup opens the
 * database again whatever came of it. Throws `jobLogFailed` with the codes when the log is not that of a whole backup.
 */
export async function takeRmanBackup(
  tools: OracleTools,
  options: BackupProgramOptions,
  /** Told how far RMAN is, from V$SESSION_LONGOPS. */
  watch: WatchOptions = { step: 'back up with RMAN', onProgress: silent },
): Promise<{ log: string; judgement: JobLogJudgement }> {
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  try {
    const program = writeBackupProgram(options);
    const { text } = await watchLongWork(tools, watch, async () => runRman(tools, 'backup', program));
    return { log: text, judgement: requireWhole(text) };
  } finally {
    if (options.kind === 'cold') await reopen(tools);
  }
}

function requireWhole(log: string): JobLogJudgement {
  const judgement = judgeJobLog(log);
  if (judgement.verdict === 'ok' || judgement.verdict === 'warning') return judgement;
  const known = explainBackupFailure(log);
  if (known !== null) throw known;
  const first = judgement.findings.find(({ effect }) => effect === 'failed');
  const why = first === undefined ? '' : `: ${first.meaning}${first.code === null ? '' : ` (${first.code})`}`;
  throw new ClonaError('jobLogFailed', `the log of the backup is ${judgement.verdict}${why}`, {
    hint: 'the pieces it wrote are no backup of the database; mend the cause and back up again',
    details: { verdict: judgement.verdict, errors: judgement.errors, log: log.slice(-2000) },
  });
}

/** An interruption of ours must not leave production closed. */
async function reopen(tools: OracleTools): Promise<void> {
  const signal = AbortSignal.timeout(600_000);
  const { text, exitCode } = await runRman({ ...tools, signal }, 'reopen', reopenProgram);
  const problem = judgeRecovery({ text, exitCode });
  // ORA-01531: it was open already.
  if (problem === null || text.includes('ORA-01531')) return;
  throw new ClonaError('databaseFailed', `production is closed after its cold backup: ${problem.message}`, {
    cause: problem,
    hint: 'ALTER DATABASE OPEN on the server, at once',
  });
}
