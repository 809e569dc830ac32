import { ClonaError } from '../../errors.ts';
import { judgeJobLog } from '../../proof/job-log.ts';
import type { Backup, Catalog } from '../../recovery/catalog.ts';
import { planRecovery } from '../../recovery/plan.ts';
import { isWhole } from '../../recovery/serve.ts';
import { makeFolder, runRman, type OracleTools } from './guest-tools.ts';
import { judgeRecovery } from './judge-recovery.ts';
import { writeValidateControlFile, writeValidateLogs, writeValidateProgram } from './validate-program.ts';

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
export function chooseToProve(
  catalog: Catalog,
  label: string | undefined,
  /** Labels of copies that RMAN did not make. */
  copies: ReadonlySet<string> = new Set(),
): string {
  const usable = catalog.backups.filter(
    (backup) =>
      isWhole(backup) &&
      backup.state === 'available' &&
      (backup.kind === 'managed' || backup.kind === 'cold') &&
      !copies.has(backup.label),
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
  if ((found.kind !== 'managed' && found.kind !== 'cold') || copies.has(found.label)) {
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
  const program = writeValidateProgram({ kind: 'scn', scn: plan.redoTo }, [], { plan, catalog });
  const files = await validate(tools, 'validate', program);
  if (files.reasons.length > 0)
    return { label, grade: 0, passed: false, reasons: files.reasons, log: files.log };
  const control = await validate(tools, 'validate-control-file', writeValidateControlFile());
  if (control.reasons.length > 0) {
    const reasons = control.reasons.map((why) => `the backup of the control file: ${why}`);
    return { label, grade: 0, passed: false, reasons, log: `${files.log}\n${control.log}` };
  }
  const logs = await validate(tools, 'validate-logs', writeValidateLogs());
  const log = [files.log, control.log, logs.log].join('\n');
  const missing = findMissingLogs(logs);
  if (logs.reasons.length > 0 && (missing === null || missing.from < plan.redoTo))
    return { label, grade: 0, passed: false, reasons: logs.reasons, log };
  // A log that is missing behind it leaves the backup what it is, and takes what could be reached from it.
  const gap = missing === null ? findGapAfter(catalog, label) : missing.said;
  return { label, grade: gap === null ? 2 : 1, passed: true, reasons: gap === null ? [] : [gap], log };
}

/** What one program of RMAN read, judged by its codes and by its whole text (R15). */
async function validate(
  tools: OracleTools,
  name: string,
  program: string,
): Promise<{ log: string; problem: ClonaError | null; reasons: string[] }> {
  const { text, exitCode } = await runRman(tools, name, program);
  const problem = judgeRecovery({ text, exitCode });
  const { verdict, findings } = judgeJobLog(text);
  const isWhole = problem === null && (verdict === 'ok' || verdict === 'warning');
  const said = [...(problem === null ? [] : [problem.message]), ...findings.map(({ meaning }) => meaning)];
  const reasons = said.length === 0 ? [`the log of its proof is ${verdict}`] : [...new Set(said)];
  return { log: text, problem, reasons: isWhole ? [] : reasons };
}

/** The oldest log that RMAN found nowhere (RMAN-06025), where that is all it has to say; null: nothing, or something else. */
function findMissingLogs({ log, problem }: { log: string; problem: ClonaError | null }): {
  from: bigint;
  said: string;
} | null {
  const codes = (problem?.details?.['codes'] ?? []) as string[]; // of judgeRecovery
  if (problem === null || codes.some((code) => !onlyGaps.has(code))) return null;
  const missing = [...log.matchAll(/^\s*RMAN-06025\b.*$/gm)].map(([line]) =>
    (line.replace('RMAN-06025', '').match(/\d+/g) ?? []).slice(-3),
  );
  const lowest = missing.sort((a, b) => (BigInt(a[2] ?? 0) < BigInt(b[2] ?? 0) ? -1 : 1))[0];
  if (lowest?.[2] === undefined) return null;
  const [thread = '?', sequence = '?', scn] = lowest;
  return {
    from: BigInt(scn),
    said: `no copy of the archived log of thread ${thread}, sequence ${sequence} (from SCN ${scn}) can be read (RMAN-06025)`,
  };
}

const onlyGaps: ReadonlySet<string> = new Set([
  'RMAN-00569',
  'RMAN-00571',
  'RMAN-03002',
  'RMAN-06025',
  'RMAN-06026',
]);

/** Whether from this very backup the newest archived position is reached. */
export function findGapAfter(catalog: Catalog, label: string): string | null {
  const latest = { until: { kind: 'latest' }, lost: 'online-log' } as const;
  const needed = new Set([label, ...(catalog.backups.find((one) => one.label === label)?.requires ?? [])]);
  const alone = { ...catalog, backups: catalog.backups.filter((one) => needed.has(one.label)) };
  const [whole, own] = [planRecovery(catalog, latest), planRecovery(alone, latest)];
  if (own.reachable && own.redoTo === whole.redoTo) return null;
  return own.redoTo === null
    ? 'the log after it has a gap'
    : `from it only ${own.redoTo} can be reached, from another one ${whole.redoTo ?? 'nothing'}: the log has a gap`;
}
