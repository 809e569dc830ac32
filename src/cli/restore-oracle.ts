import { ClonaError } from '../errors.ts';
import { explainPlan } from '../recovery/explain.ts';
import { planToJson } from '../recovery/answer.ts';
import { planRecovery } from '../recovery/plan.ts';
import { parseUntil } from '../recovery/question.ts';
import type { RestoreFacts } from '../databases/oracle/restore-facts.ts';
import type { RestoreTarget } from '../databases/oracle/restore-target.ts';
import type { RestoreUntil } from '../databases/oracle/restore-program.ts';
import { toWallClock } from '../databases/oracle/clock.ts';
import { writeParameterFile } from '../databases/oracle/restore-target.ts';
import { joinGuest } from '../databases/oracle/rman-text.ts';
import { fenceOracleClone } from '../databases/oracle/fence/fence-clone.ts';
import type { OracleTools } from '../databases/oracle/guest-tools.ts';
import { readKept } from '../databases/oracle/place-kept-files.ts';
import { restoreOracle } from '../databases/oracle/restore.ts';
import { rememberGrade } from '../databases/oracle/site-catalog.ts';
import { keepSettingsOf } from '../pipeline/oracle-keep.ts';
import { resolveSecret } from '../site/secret.ts';
import type { Site } from '../site/site.ts';
import { parseSize } from '../site/units.ts';
import { workDirOf } from './backup-oracle.ts';
import { textOption } from './confirm.ts';
import { requireOption } from './input-file.ts';
import { openOracleTools } from './oracle-guest.ts';
import type { OracleSite } from './read-catalog.ts';
import { describeRestore, dryRunOracle, recordFailure, recordRestore } from './restore-oracle-report.ts';
import type { OptionValues, VerbContext, VerbResult } from './verb.ts';

/** `clona restore` of an Oracle site: a clone with a name and a DBID of its own, restricted, on the machine `--guest`. */
export async function restoreForOracle(
  context: VerbContext,
  options: OptionValues,
  { catalog, facts, site, warnings, places }: OracleSite,
): Promise<VerbResult> {
  for (const line of warnings) context.note(`warning: ${line}`);
  const pdb = textOption(options, 'pdb');
  if (pdb !== undefined) refusePluggable(pdb, facts);
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
  const target = readTarget(options, site, places.archiveDir);
  // Names and paths that cannot be used are refused before any machine is asked.
  writeParameterFile(facts, target, 'as-clone');
  const host = textOption(options, 'guest');
  if (host !== undefined) refuseProduction(host, site);
  if (options['dryRun'] === true) {
    if (host === undefined || site === undefined)
      return dryRunOracle({ plan, catalog, facts, target, tools: null });
    await using asked = await openClone(context, options, site, host, target);
    return await dryRunOracle({ plan, catalog, facts, target, tools: asked, keep: keepSettingsOf(site) });
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
  const guestHost = requireOption(options, 'guest', 'HOST');
  const keep = keepSettingsOf(site);
  await using tools = await openClone(context, options, site, guestHost, target);
  const { onProgress } = context;
  const backup = catalog.backups.find(({ label }) => label === plan.backup);
  const kept = keep === undefined || backup === undefined ? null : await readKept(tools, keep, backup);
  const password = site.database.oracle?.keep?.keystorePassword;
  const keystorePassword = password === undefined ? undefined : await resolveSecret(password);
  const task = { plan, catalog, facts, target, tools, until, onProgress, kept, keystorePassword };
  const fail = async (error: unknown): Promise<never> =>
    recordFailure(context, { plan, error, host: guestHost });
  const restored = await restoreOracle(task).catch(fail);
  for (const line of restored.warnings) context.note(`warning: ${line}`);
  const grade = await rememberProof(context, { catalog, places }, plan.backup ?? '');
  const fenced =
    options['fence'] === false
      ? null
      : await fenceOracleClone({
          tools,
          target,
          rules: site.staging.fence,
          keepServices: site.staging.services,
          onProgress,
        }).catch(fail);
  const done = { plan, restored, fenced, grade, host: guestHost };
  const evidence = await recordRestore(context, done);
  const { json, human } = describeRestore(done);
  return { json: { grade, ...json, evidence }, human };
}

/** Backups, redo and the plan are of the whole container; what leads to one of its databases alone is said. */
function refusePluggable(name: string, { cdb, pdbs = [] }: RestoreFacts): never {
  if (!cdb) {
    throw new ClonaError(
      'usage',
      'production is no container database: there is no pluggable database in it',
      {
        hint: 'leave --pdb out',
      },
    );
  }
  const isKnown = pdbs.some((one) => one.toUpperCase() === name.toUpperCase());
  if (!isKnown && pdbs.length > 0) {
    throw new ClonaError('usage', `there is no pluggable database ${name} in production`, {
      hint: `there are ${pdbs.join(', ')}; leave --pdb out: the whole container is restored`,
    });
  }
  throw new ClonaError('questionInvalid', `the pluggable database ${name} is not restored alone`, {
    hint: `leave --pdb out: the clone gets the whole container at that moment. Then take ${name} out of it: ALTER PLUGGABLE DATABASE ${name} CLOSE, UNPLUG INTO an XML file, plug it in elsewhere; or export its schemas`,
  });
}

function refuseProduction(host: string, site: Site | undefined): void {
  if (host !== site?.database.host) return;
  throw new ClonaError('usage', `${host} is production's own machine`, {
    hint: 'a restore goes to a clone: give the host of the staging machine',
  });
}

async function openClone(
  { signal }: VerbContext,
  options: OptionValues,
  site: Site,
  host: string,
  { databaseName, instanceName }: RestoreTarget,
): Promise<OracleTools & AsyncDisposable> {
  const workDir = workDirOf(site, `restore-${databaseName}`);
  const tools = await openOracleTools(
    site,
    host,
    workDir,
    signal,
    textOption(options, 'oracleHome') ?? site.database.oracle?.staging.home,
  );
  return { ...tools, instanceName };
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

/** From the options, else as the site describes its clones (`database.oracle.staging`). */
function readTarget(options: OptionValues, site: Site | undefined, archiveDir: string): RestoreTarget {
  const platform = site?.guest?.platform ?? 'linux';
  const staging = site?.database.oracle?.staging;
  const dataDir = textOption(options, 'to') ?? staging?.dataDir ?? requireOption(options, 'to', 'DIR');
  const name = textOption(options, 'name');
  const databaseName = name ?? staging?.name ?? 'CLONA';
  const separator = platform === 'windows' ? '\\' : '/';
  const from = options['catalogFrom'];
  const known = staging === undefined || staging.archives.length === 0 ? [archiveDir] : staging.archives;
  const archiveDirs = Array.isArray(from) ? from.map(String) : known;
  const size = textOption(options, 'recoverySize');
  return {
    platform,
    databaseName,
    // Another name has another instance: that of the site may run already.
    instanceName: name === undefined ? (staging?.instance ?? databaseName) : databaseName,
    dataDir,
    recoveryDir:
      textOption(options, 'recoveryDir') ??
      staging?.recoveryDir ??
      joinGuest(platform, parentOf(dataDir), 'recovery'),
    recoveryBytes: size === undefined ? (staging?.recoverySize ?? 50 * 2 ** 30) : parseSize(size),
    // START WITH is a prefix: without the separator /archive would take /archive2, too.
    archiveDirs: archiveDirs.map((folder) => (folder.endsWith(separator) ? folder : `${folder}${separator}`)),
    channels: staging?.channels ?? 1,
    memoryBytes: staging?.memory,
  };
}

function parentOf(folder: string): string {
  const end = Math.max(folder.lastIndexOf('/'), folder.lastIndexOf('\\'));
  return end > 0 ? folder.slice(0, end) : folder;
}
