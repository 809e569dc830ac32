import { ClonaError } from '../errors.ts';
import { explainPlan } from '../recovery/explain.ts';
import { planToJson, type PlanAnswer } from '../recovery/answer.ts';
import { planRecovery } from '../recovery/plan.ts';
import { parseUntil } from '../recovery/question.ts';
import type { RestoreTarget } from '../databases/oracle/restore-target.ts';
import type { RestoreUntil } from '../databases/oracle/restore-program.ts';
import { toWallClock } from '../databases/oracle/clock.ts';
import { writeMountProgram } from '../databases/oracle/restore-program.ts';
import { writeParameterFile } from '../databases/oracle/restore-target.ts';
import { joinGuest } from '../databases/oracle/rman-text.ts';
import { fenceOracleClone, type FencedClone } from '../databases/oracle/fence/fence-clone.ts';
import { restoreOracle, type OracleRestore } from '../databases/oracle/restore.ts';
import { rememberGrade } from '../databases/oracle/site-catalog.ts';
import { parseSize } from '../site/units.ts';
import { workDirOf } from './backup-oracle.ts';
import { textOption } from './confirm.ts';
import { requireOption } from './input-file.ts';
import { openOracleTools } from './oracle-guest.ts';
import type { OracleSite } from './read-catalog.ts';
import type { OptionValues, VerbContext, VerbResult } from './verb.ts';

/** `clona restore` of an Oracle site: a clone with a name and a DBID of its own, restricted, on the machine `--guest`. */
export async function restoreForOracle(
  context: VerbContext,
  options: OptionValues,
  { catalog, facts, site, warnings, places }: OracleSite,
): Promise<VerbResult> {
  for (const line of warnings) context.note(`warning: ${line}`);
  const question = parseUntil(requireOption(options, 'until', 'TARGET'));
  // A clone has no online log of production's: only what was archived counts.
  const plan = planRecovery(catalog, { until: question, lost: 'online-log' });
  if (!plan.reachable || plan.redoTo === null) {
    return { json: planToJson(plan), human: explainPlan(catalog, plan), exitCode: 5 };
  }
  const until: RestoreUntil =
    question.kind === 'time'
      ? { kind: 'time', wall: toWallClock(question.instantMs, facts.zone) }
      : { kind: 'scn', scn: plan.redoTo };
  const target = readTarget(options, site?.guest?.platform ?? 'linux', places.archiveDir);
  // Names and paths that cannot be used are refused before any machine is asked.
  writeParameterFile(facts, target, 'as-clone');
  if (options['dryRun'] === true) {
    const programs = {
      parameterFile: writeParameterFile(facts, target, 'as-production'),
      mount: writeMountProgram(
        facts,
        target,
        'init.ora',
        facts.controlFiles.at(-1)?.handle ?? 'CONTROL FILE PIECE',
      ),
    };
    const human = `${explainPlan(catalog, plan)}\n\n${programs.parameterFile}\n${programs.mount}`;
    return { json: { dryRun: true, plan: planToJson(plan), programs }, human };
  }
  if (site === undefined) {
    throw new ClonaError(
      'usage',
      'a restore of Oracle needs a site: its guest section is the way into the clone',
      {
        hint: 'give --site FILE; --dry-run needs the archive alone',
      },
    );
  }
  const host = requireOption(options, 'guest', 'HOST');
  if (host === site.database.host) {
    throw new ClonaError('usage', `${host} is production's own machine`, {
      hint: 'a restore goes to a clone: give the host of the staging machine',
    });
  }
  const workDir = workDirOf(site, `restore-${target.databaseName}`);
  const home = textOption(options, 'oracleHome');
  await using tools = await openOracleTools(site, host, workDir, context.signal, home);
  const { onProgress } = context;
  const instance = { ...tools, instanceName: target.instanceName };
  const restored = await restoreOracle({ plan, catalog, facts, target, tools: instance, until, onProgress });
  const grade = await rememberProof(context, { catalog, places }, plan.backup ?? '');
  const fenced =
    options['fence'] === false
      ? null
      : await fenceOracleClone({ tools: instance, target, rules: site.staging.fence, onProgress });
  const evidence = await recordRestore(context, { plan, restored, fenced, grade, host });
  const json = {
    grade,
    dbid: restored.dbid,
    name: restored.name,
    branchPosition: restored.branchPosition.toString(),
    plan: planToJson(plan),
    restricted: fenced?.logins !== 'ALLOWED',
    fence: fenced === null ? null : { fenced: fenced.fenced, parts: fenced.parts },
    evidence,
  };
  const done = `restored ${plan.backup ?? ''} up to ${plan.redoTo} as ${restored.name} (DBID ${restored.dbid})`;
  const fence =
    fenced === null
      ? 'no fence was put up (--no-fence): the session stays restricted'
      : `fenced and open: ${fenced.parts.map(({ name }) => name).join(', ')}`;
  return { json, human: `${done}; ${fence}` };
}

interface RestoreEvidence {
  plan: PlanAnswer;
  restored: OracleRestore;
  fenced: FencedClone | null;
  grade: number | null;
  host: string;
}

/** R22. The clone stands even where the control database of the site does not answer: then that is said. */
async function recordRestore(
  { signal, note, sitePath }: VerbContext,
  { plan, restored, fenced, grade, host }: RestoreEvidence,
): Promise<string | null> {
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { newRunId } = await import('../pipeline/run-id.ts');
  const run = newRunId('restore', new Date());
  const payload = {
    label: plan.backup ?? '',
    until: plan.redoTo?.toString() ?? '',
    incarnation: String(plan.target.incarnation),
    branchPosition: restored.branchPosition.toString(),
    name: restored.name,
    dbid: restored.dbid,
    host,
    grade: String(grade ?? ''),
    fence: fenced === null ? 'none: restricted' : fenced.parts.map(({ name }) => name).join('; '),
    logins: fenced?.logins ?? 'RESTRICTED',
    by: accountName(),
  };
  try {
    await using opened = await openSite(sitePath, signal);
    await opened.ledger.append({ kind: 'oracle.restored', run, key: null, payload }, new Date());
    return run;
  } catch (error) {
    signal.throwIfAborted();
    note(`warning: no evidence was written: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** R15: restored and opened past consistentFrom is grade 3. The restore stands even where that cannot be written down. */
async function rememberProof(
  { signal, note }: VerbContext,
  { catalog, places }: Pick<OracleSite, 'catalog' | 'places'>,
  label: string,
): Promise<number | null> {
  const known = catalog.backups.find((backup) => backup.label === label)?.grade ?? 0;
  const grade = Math.max(known, 3);
  try {
    await rememberGrade(places, label, grade, signal);
    return grade;
  } catch (error) {
    signal.throwIfAborted();
    note(`warning: its grade was not remembered: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function readTarget(options: OptionValues, platform: 'linux' | 'windows', archiveDir: string): RestoreTarget {
  const dataDir = requireOption(options, 'to', 'DIR');
  const databaseName = textOption(options, 'name') ?? 'CLONA';
  const separator = platform === 'windows' ? '\\' : '/';
  const from = options['catalogFrom'];
  const archiveDirs = Array.isArray(from) ? from.map(String) : [archiveDir];
  return {
    platform,
    databaseName,
    instanceName: databaseName,
    dataDir,
    recoveryDir: textOption(options, 'recoveryDir') ?? joinGuest(platform, parentOf(dataDir), 'recovery'),
    recoveryBytes: parseSize(textOption(options, 'recoverySize') ?? '50GB'),
    // START WITH is a prefix: without the separator /archive would take /archive2, too.
    archiveDirs: archiveDirs.map((folder) => (folder.endsWith(separator) ? folder : `${folder}${separator}`)),
    channels: 1,
  };
}

function parentOf(folder: string): string {
  const end = Math.max(folder.lastIndexOf('/'), folder.lastIndexOf('\\'));
  return end > 0 ? folder.slice(0, end) : folder;
}
