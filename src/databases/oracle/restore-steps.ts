import { ClonaError } from '../../errors.ts';
import { withProgress } from '../../progress.ts';
import {
  requireService,
  runNid,
  runRman,
  runSecretSqlPlus,
  runSqlPlus,
  type OracleTools,
  type ToolOutput,
} from './guest-tools.ts';
import { judgeRecovery } from './judge-recovery.ts';
import { watchLongWork } from './long-operations.ts';
import { mountedQueries, readMountedFacts, type MountedDatabase } from './mounted-facts.ts';
import { copiedDatabase, placeCopies, placeKeptLogs } from './place-copies.ts';
import type { OracleRestoreOptions } from './restore-options.ts';
import type { RestoreStage } from './restore-mark.ts';
import type { RestoreFacts } from './restore-facts.ts';
import {
  nidArguments,
  openKeystore,
  writeAfterNid,
  writeBeforeNid,
  writeDisableThreads,
  writeReopen,
  writeStart,
} from './clone-instance-program.ts';
import { sqlPlus, writeMountProgram, writeRestoreProgram } from './restore-program.ts';
import { writeParameterFile, type InstanceStage, type ParameterChoices } from './restore-target.ts';
import { joinGuest } from './rman-text.ts';
import { writeUserManagedRecovery } from './user-managed-program.ts';

/** One restore at work: what was asked for, what was decided, what was printed. */
export interface RestoreRun extends OracleRestoreOptions {
  controlFile: string;
  choices: ParameterChoices;
  outputs: Record<string, string>;
}

/** First and second program: an instance under production's name, its control file, its files, redo, OPEN RESETLOGS. */
export async function restoreAndOpen(run: RestoreRun): Promise<string> {
  const { plan, catalog, facts, target, tools, until, controlFile } = run;
  await requireService(tools);
  const before = await putParameterFile(run, 'as-production');
  // An encrypted piece opens with the keystore alone, the one with the control file too.
  const opensKeystore = run.keystorePassword !== undefined && run.choices.walletRoot !== undefined;
  if (opensKeystore) await step(run, 'keystore', async () => runSecret(run, writeStart(before)), null);
  const copied = copiedDatabase(facts, plan.backup);
  const logDirs = await placeKeptLogs(run, copied?.logDirs ?? []);
  const reach = { ...target, archiveDirs: [...target.archiveDirs, ...logDirs] };
  const mount = writeMountProgram(facts, reach, opensKeystore ? null : before, controlFile);
  await step(run, 'mount', async () => runRman(tools, 'mount', mount), null);
  const mounted = await ask(tools);
  refuseEdition(facts, mounted);
  if (copied !== null) {
    const files = await placeCopies(run, copied, mounted);
    const script = writeUserManagedRecovery(plan, files, mounted, target, null);
    await step(run, 'restore', async () => runSqlPlus(tools, 'restore', script), 'READ WRITE');
  } else {
    const program = writeRestoreProgram(plan, catalog, mounted, target, until);
    await step(run, 'restore', async () => runRman(tools, 'restore', program), 'READ WRITE');
  }
  const { incarnations } = await ask(tools);
  return incarnations.find(({ status }) => status === 'CURRENT')?.resetlogs ?? '0';
}

/**
 * Third: a clean shutdown and nid. `from`: where an earlier try ended; then the instance may be in any state, or gone with its
 * machine. Answers whether nid had been through already.
 */
export async function closeAndRename(
  run: RestoreRun,
  from: RestoreStage,
  beforeNid: () => Promise<void>,
): Promise<boolean> {
  const { facts, target, tools } = run;
  const before = await putParameterFile(run, 'as-production');
  if (from === 'renaming') {
    if (await isRenamed(run, before)) return true;
  } else if (from === 'opened') {
    // Whatever ended it: crash recovery first, then a clean shutdown.
    await step(run, 'reopen', async () => runWithKeystore(run, 'reopen', writeReopen(before)), null);
    await step(run, 'close', async () => runSqlPlus(tools, 'close', writeBeforeNid(before)), null);
  } else await step(run, 'close', async () => runSqlPlus(tools, 'close', writeBeforeNid(before)), null);
  await beforeNid();
  const log = joinGuest(target.platform, tools.workDir, 'nid.log');
  await step(run, 'rename', async () => runNid(tools, nidArguments(facts, target, log), log), null);
  return false;
}

/** Software of a smaller edition opens the files, and then refuses what the application does in them (ORA-00439). */
function refuseEdition({ edition }: RestoreFacts, { edition: here }: MountedDatabase): void {
  if (edition === undefined || here === null) return;
  if (!edition.startsWith('Enterprise') || here.startsWith('Enterprise')) return;
  throw new ClonaError('serverUnfit', `production runs ${edition}, the clone has ${here}`, {
    hint: 'install the edition of production on the clone: partitions and other features would be refused there (ORA-00439)',
  });
}

/** Under which name its control file mounts says whether nid was through (ORA-01103 under the other one). */
async function isRenamed(run: RestoreRun, before: string): Promise<boolean> {
  const { tools } = run;
  // STARTUP is no SQL: WHENEVER SQLERROR does not end the script at it, only the code tells.
  const { text } = await runSqlPlus(tools, 'look', writeStart(before, 'MOUNT'));
  if (/\bORA-01103\b/.test(text)) return true;
  const { name } = await ask(tools);
  return name.toUpperCase() !== run.facts.name.toUpperCase();
}

/** Fourth: opened under the clone's own name, restricted, with an SPFILE of its own. */
export async function openAsClone(run: RestoreRun, from: RestoreStage): Promise<MountedDatabase> {
  const { facts, tools } = run;
  if (from === 'restored') {
    const known = await ask(tools).catch(() => null);
    if (known?.openMode === 'READ WRITE') return known;
  }
  const own = await putParameterFile(run, 'as-clone');
  const isOpened = (from === 'restored' || from === 'renamed') && !(await needsResetlogs(run, own));
  const script = writeAfterNid(own, facts, isOpened ? 'OPEN' : 'OPEN RESETLOGS');
  await step(run, 'open', async () => runWithKeystore(run, 'open', script), 'READ WRITE');
  const clone = await ask(tools);
  if (clone.otherThreads.length === 0) return clone;
  const disable = writeDisableThreads(clone.otherThreads);
  await step(run, 'threads', async () => runSqlPlus(tools, 'threads', disable), 'READ WRITE');
  return ask(tools);
}

/** Mounts it from the parameter file: an SPFILE in use could not be written (ORA-32002). */
async function needsResetlogs({ tools }: RestoreRun, own: string): Promise<boolean> {
  await runSqlPlus(tools, 'look', writeStart(own, 'MOUNT'));
  return (await ask(tools)).openResetlogs !== 'NOT ALLOWED';
}

async function step(
  { tools, outputs, onProgress, pollMs }: RestoreRun,
  name: string,
  work: () => Promise<ToolOutput>,
  opens: string | null,
): Promise<void> {
  const label = `restore: ${name}`;
  await withProgress(onProgress, label, async () => {
    // A second session would stand in the way of a shutdown and of nid.
    const { text, exitCode } =
      name === 'restore'
        ? await watchLongWork(tools, { step: label, onProgress, pollMs }, work)
        : await work();
    outputs[name] = text;
    const openMode = opens === null ? undefined : (await ask(tools)).openMode;
    const problem = judgeRecovery({ text, exitCode, ...(openMode === undefined ? {} : { openMode }) });
    if (problem !== null) throw problem;
  });
}

/** Asked of the server, not of what a program printed. */
async function ask(tools: OracleTools): Promise<MountedDatabase> {
  const { text } = await runSqlPlus(tools, 'ask', sqlPlus(mountedQueries));
  return readMountedFacts(text);
}

/** Ends the clone's instance, in whatever state: what an earlier try still runs in it ends with it. */
export async function abortClone({ tools }: RestoreRun): Promise<void> {
  // An instance that is not there is what is wanted (ORA-01034), so the exit code says nothing.
  await runSqlPlus(tools, 'abort', sqlPlus(['SHUTDOWN ABORT']));
}

async function putParameterFile(
  { facts, target, tools, choices }: RestoreRun,
  stage: InstanceStage,
): Promise<string> {
  const path = joinGuest(target.platform, tools.workDir, `init-${stage}.ora`);
  const text = writeParameterFile(facts, target, stage, choices);
  await tools.guest.writeFile(path, text, 0o640, tools.signal);
  return path;
}

/** A start that must open the keystore goes through standard input, because of its password. */
async function runWithKeystore(run: RestoreRun, name: string, script: string): Promise<ToolOutput> {
  const { keystorePassword, choices, tools } = run;
  return keystorePassword === undefined || choices.walletRoot === undefined
    ? runSqlPlus(tools, name, script)
    : runSecret(run, script);
}

async function runSecret(
  { tools, facts, keystorePassword = '' }: RestoreRun,
  script: string,
): Promise<ToolOutput> {
  const text = openKeystore(script, keystorePassword, facts.pdbs);
  return runSecretSqlPlus(tools, text, [keystorePassword]);
}
