import { ClonaError } from '../../errors.ts';
import { judgeJobLog } from '../../proof/job-log.ts';
import type { Backup, Catalog } from '../../recovery/catalog.ts';
import { planRecovery } from '../../recovery/plan.ts';
import { isWhole } from '../../recovery/serve.ts';
import { makeFolder, runRman, type OracleTools } from './guest-tools.ts';
import { judgeRecovery } from './judge-recovery.ts';
import { writeValidateProgram } from './restore-program.ts';

export interface OracleProof {
  label: string;
  /** 2: every block and every log that a restore would read was read; 1: the blocks; 0: not even those. */
  grade: 0 | 1 | 2;
  passed: boolean;
  /** Why it is not more. */
  reasons: string[];
  log: string;
}

/** The backup to prove: by its label, else the newest whole one. */
export function chooseToProve(catalog: Catalog, label: string | undefined): string {
  const usable = catalog.backups.filter(
    (backup) =>
      isWhole(backup) &&
      backup.state === 'available' &&
      (backup.kind === 'managed' || backup.kind === 'cold'),
  );
  const newest = usable.reduce<Backup | undefined>(
    (best, one) => (best === undefined || (one.finishedAt ?? '') >= (best.finishedAt ?? '') ? one : best),
    undefined,
  );
  const found = label === undefined ? newest : catalog.backups.find((backup) => backup.label === label);
  if (found === undefined) {
    throw new ClonaError(
      'archiveAbsent',
      label === undefined ? 'there is no whole backup to prove' : `there is no backup ${label}`,
      {
        hint: 'clona catalog lists what there is',
      },
    );
  }
  if (found.kind !== 'managed' && found.kind !== 'cold') {
    throw new ClonaError(
      'usage',
      `${found.label} is ${found.kind === 'export' ? 'an export' : `a ${found.kind} backup`}: RMAN cannot read it`,
      {
        hint: 'it is proven by restoring or importing it',
      },
    );
  }
  return found.label;
}

/**
 * Grades 1 and 2 of a backup without restoring it (R15): RMAN reads every block of what it would take (CHECK LOGICAL) and every
 * log, and our own plan says whether the log reaches the newest position without a gap. Pieces are read on the machine of the
 * database, through its own control file.
 */
export async function proveByValidate(
  tools: OracleTools,
  catalog: Catalog,
  label: string,
): Promise<OracleProof> {
  const plan = planRecovery(catalog, { until: { kind: 'backup', label }, lost: 'online-log' });
  if (!plan.reachable || plan.redoTo === null) {
    const reasons = plan.rejected.flatMap((one) => (one.backup === label ? one.reasons : []));
    return { label, grade: 0, passed: false, reasons: ['it serves no target', ...reasons], log: '' };
  }
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  const program = writeValidateProgram({ kind: 'scn', scn: plan.redoTo }, []);
  const { text, exitCode } = await runRman(tools, 'validate', program);
  const problem = judgeRecovery({ text, exitCode });
  const { verdict, findings } = judgeJobLog(text);
  if (problem !== null || verdict === 'failed' || verdict === 'incomplete') {
    const reasons = [
      ...(problem === null ? [] : [problem.message]),
      ...findings.map(({ meaning }) => meaning),
    ];
    return { label, grade: 0, passed: false, reasons: [...new Set(reasons)], log: text };
  }
  const gap = findGapAfter(catalog, label);
  return { label, grade: gap === null ? 2 : 1, passed: true, reasons: gap === null ? [] : [gap], log: text };
}

/** Whether from this very backup the newest archived position is reached. */
function findGapAfter(catalog: Catalog, label: string): string | null {
  const latest = { until: { kind: 'latest' }, lost: 'online-log' } as const;
  const needed = new Set([label, ...(catalog.backups.find((one) => one.label === label)?.requires ?? [])]);
  const alone = { ...catalog, backups: catalog.backups.filter((one) => needed.has(one.label)) };
  const [whole, own] = [planRecovery(catalog, latest), planRecovery(alone, latest)];
  if (own.reachable && own.redoTo === whole.redoTo) return null;
  return own.redoTo === null
    ? 'the log after it has a gap'
    : `from it only ${own.redoTo} can be reached, from another one ${whole.redoTo ?? 'nothing'}: the log has a gap`;
}
