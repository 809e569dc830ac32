import type { ParameterDecision } from '../databases/oracle/clone-parameters.ts';
import {
  estimateNeeds,
  examineClone,
  requireFitClone,
  type CloneFacts,
} from '../databases/oracle/examine-clone.ts';
import type { FencedClone } from '../databases/oracle/fence/fence-clone.ts';
import type { OracleTools } from '../databases/oracle/guest-tools.ts';
import { makeFolder } from '../databases/oracle/guest-tools.ts';
import type { KeepSettings } from '../databases/oracle/kept-files.ts';
import { readKept, type Kept } from '../databases/oracle/place-kept-files.ts';
import type { RestoreFacts } from '../databases/oracle/restore-facts.ts';
import { writeMountProgram } from '../databases/oracle/restore-program.ts';
import type { OracleRestore } from '../databases/oracle/restore.ts';
import {
  decideFromFacts,
  writeParameterFile,
  type RestoreTarget,
} from '../databases/oracle/restore-target.ts';
import { ClonaError, toClonaError } from '../errors.ts';
import { planToJson, type PlanAnswer } from '../recovery/answer.ts';
import type { Catalog } from '../recovery/catalog.ts';
import { explainPlan } from '../recovery/explain.ts';
import type { VerbContext, VerbResult } from './verb.ts';

export interface DryRun {
  plan: PlanAnswer;
  catalog: Catalog;
  facts: RestoreFacts;
  target: RestoreTarget;
  /** The clone, where it was named and can be asked; null: nothing is known of its disks. */
  tools: OracleTools | null;
  /** What the site keeps; its parameters count before those that the catalog remembers. */
  keep?: KeepSettings | undefined;
}

/** What would be done, the room and the time it takes, what of production's parameters is taken over; nothing is written but a work folder. */
export async function dryRunOracle({
  plan,
  catalog,
  facts,
  target,
  tools,
  keep,
}: DryRun): Promise<VerbResult> {
  const needs = estimateNeeds(facts, plan);
  let clone: CloneFacts | null = null;
  let refusal: ClonaError | null = null;
  let warnings: string[] = [];
  let kept: Kept | null = null;
  if (tools !== null) {
    await makeFolder(tools.guest, tools.workDir, tools.signal);
    clone = await examineClone(tools, target);
    const backup = catalog.backups.find(({ label }) => label === plan.backup);
    if (keep !== undefined && backup !== undefined) kept = await readKept(tools, keep, backup);
    try {
      warnings = requireFitClone(clone, facts, target, needs, false);
    } catch (error) {
      if (!(error instanceof ClonaError)) throw error;
      refusal = error;
    }
  }
  const parameters = decideFromFacts(facts, target, clone?.memoryBytes ?? null, kept?.parameters ?? null);
  const choices = { decisions: parameters };
  const piece = facts.controlFiles.at(-1)?.handle ?? 'CONTROL FILE PIECE';
  const programs = {
    parameterFile: writeParameterFile(facts, target, 'as-production', choices),
    mount: writeMountProgram(facts, target, 'init.ora', piece),
  };
  const json = {
    dryRun: true,
    plan: planToJson(plan),
    programs,
    needs,
    clone,
    parameters,
    kept: kept?.files.map(({ role, name }) => ({ role, name })) ?? null,
    warnings,
    refused: refusal === null ? null : { code: refusal.code, message: refusal.message, hint: refusal.hint },
  };
  const human = [
    explainPlan(catalog, plan),
    '',
    describeRoom(needs, clone),
    ...warnings.map((line) => `warning: ${line}`),
    ...(refusal === null ? [] : [`refused: ${refusal.message}`, `  hint: ${refusal.hint ?? ''}`]),
    '',
    ...describeParameters(parameters),
    '',
    programs.parameterFile,
    programs.mount,
  ].join('\n');
  return refusal === null ? { json, human } : { json, human, exitCode: refusal.exitCode };
}

function describeRoom(needs: ReturnType<typeof estimateNeeds>, clone: CloneFacts | null): string {
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const free = clone?.free ?? null;
  const data = `space: ${gibibytes(needs.dataBytes)} of data, ${gibibytes(needs.recoveryBytes)} of logs needed`;
  const there =
    free === null
      ? ' (give --guest to compare with the clone)'
      : `, ${gibibytes(free.dataBytes)} and ${gibibytes(free.recoveryBytes)} free${free.shared ? ' on the same disk' : ''}`;
  return `${data}${there}\ntime: about ${Math.max(1, Math.round(needs.seconds / 60))} min, by an ordinary disk`;
}

function describeParameters(decisions: readonly ParameterDecision[]): string[] {
  return decisions.map(
    ({ name, value, verdict, reason }) =>
      `parameter ${name}: ${verdict}${value === null ? '' : ` as ${value}`} (${reason})`,
  );
}

export interface RestoreEvidence {
  plan: PlanAnswer;
  restored: OracleRestore;
  fenced: FencedClone | null;
  grade: number | null;
  host: string;
}

/** R22: a restore that failed is a fact, too. Throws what was thrown. */
export async function recordFailure(
  context: VerbContext,
  { plan, error, host }: { plan: PlanAnswer; error: unknown; host: string },
): Promise<never> {
  const { code, message } = toClonaError(error);
  const payload = { label: plan.backup ?? '', until: plan.redoTo?.toString() ?? '', host, code, message };
  if (!context.signal.aborted) await append(context, 'oracle.restoreFailed', payload);
  throw error;
}

/** R22. The clone stands even where the control database of the site does not answer: then that is said. */
export async function recordRestore(
  context: VerbContext,
  { plan, restored, fenced, grade, host }: RestoreEvidence,
): Promise<string | null> {
  const payload = {
    label: plan.backup ?? '',
    until: plan.redoTo?.toString() ?? '',
    incarnation: String(plan.target.incarnation),
    branchPosition: restored.branchPosition.toString(),
    name: restored.name,
    dbid: restored.dbid,
    host,
    resumed: restored.resumed ?? '',
    placed: restored.placed.join('; '),
    grade: String(grade ?? ''),
    fence: fenced === null ? 'none: restricted' : fenced.parts.map(({ name }) => name).join('; '),
    logins: fenced?.logins ?? 'RESTRICTED',
  };
  return append(context, 'oracle.restored', payload);
}

async function append(
  { signal, note, sitePath }: VerbContext,
  kind: string,
  facts: Record<string, string>,
): Promise<string | null> {
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { newRunId } = await import('../pipeline/run-id.ts');
  const run = newRunId('restore', new Date());
  const payload = { ...facts, by: accountName() };
  try {
    await using opened = await openSite(sitePath, signal);
    await opened.ledger.append({ kind, run, key: null, payload }, new Date());
    return run;
  } catch (error) {
    signal.throwIfAborted();
    note(`warning: no evidence was written: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

export function describeRestore({ plan, restored, fenced }: RestoreEvidence): {
  json: Record<string, unknown>;
  human: string;
} {
  const { dbid, name, branchPosition, resumed, parameters, placed, warnings } = restored;
  const json = {
    dbid,
    name,
    branchPosition: branchPosition.toString(),
    plan: planToJson(plan),
    resumed,
    parameters,
    placed,
    warnings,
    restricted: fenced?.logins !== 'ALLOWED',
    fence: fenced === null ? null : { fenced: fenced.fenced, parts: fenced.parts },
  };
  const fence =
    fenced === null
      ? 'no fence was put up (--no-fence): the session stays restricted'
      : `fenced and open: ${fenced.parts.map((part) => part.name).join(', ')}`;
  const human = [
    `restored ${plan.backup ?? ''} up to ${plan.redoTo ?? '?'} as ${name} (DBID ${dbid}); ${fence}`,
    ...(resumed === null ? [] : [`an earlier try was taken up: ${resumed}`]),
    ...placed.map((path) => `placed: ${path}`),
  ].join('\n');
  return { json, human };
}
