import { ClonaError } from '../../errors.ts';
import { withProgress, type OnProgress } from '../../progress.ts';
import type { PlanAnswer } from '../../recovery/answer.ts';
import type { Catalog } from '../../recovery/catalog.ts';
import { readLineage, tracePath } from '../../recovery/lineage.ts';
import { asPosition, type Position } from '../../recovery/position.ts';
import {
  makeFolder,
  requireEmptyFolders,
  runNid,
  runRman,
  runSqlPlus,
  type OracleTools,
  type ToolOutput,
} from './guest-tools.ts';
import { watchLongWork } from './long-operations.ts';
import { judgeRecovery } from './judge-recovery.ts';
import { mountedQueries, readMountedFacts, type MountedDatabase } from './mounted-facts.ts';
import { chooseControlFile, type RestoreFacts } from './restore-facts.ts';
import {
  nidArguments,
  sqlPlus,
  writeAfterNid,
  writeBeforeNid,
  writeMountProgram,
  writeRestoreProgram,
  type RestoreUntil,
} from './restore-program.ts';
import { writeParameterFile, type InstanceStage, type RestoreTarget } from './restore-target.ts';
import { joinGuest } from './rman-text.ts';
import { copiedDatabase, placeCopies, placeKeptLogs } from './place-copies.ts';
import { writeUserManagedRecovery } from './user-managed-program.ts';

export interface OracleRestoreOptions {
  plan: PlanAnswer;
  catalog: Catalog;
  facts: RestoreFacts;
  target: RestoreTarget;
  tools: OracleTools;
  until: RestoreUntil;
  onProgress: OnProgress;
  /** Between two looks at V$SESSION_LONGOPS while RMAN works. Default 5 s. */
  pollMs?: number | undefined;
}

export interface OracleRestore {
  dbid: string;
  name: string;
  /** Branch position of the incarnation that the restore opened, as the server says it (R5). */
  branchPosition: Position;
  /** What every program printed, by step: evidence. */
  outputs: Record<string, string>;
}

/**
 * Restores a backup with RMAN into a clone, renames it with nid, and leaves it open, restricted, waiting for its fence. Nothing
 * is overwritten: the folders of the clone must be empty. Throws what the output means (`judgeRecovery`), never only that it
 * failed; what was done until then stays where it is, the clone is not usable.
 */
export async function restoreOracle(options: OracleRestoreOptions): Promise<OracleRestore> {
  const { plan, catalog, facts, target, tools, until, onProgress } = options;
  const outputs: Record<string, string> = {};
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  await requireEmptyFolders(tools, [target.dataDir, target.recoveryDir]);
  const path = tracePath(readLineage(catalog), plan.target.incarnation).incarnations;
  const copied = copiedDatabase(facts, plan.backup);
  // The control file beside the copies knows their files; one of RMAN's may be of a time when there were others.
  const controlFile = copied?.controlFile ?? chooseControlFile(facts, plan, catalog, path);
  if (controlFile === null) {
    throw new ClonaError('archiveDamaged', 'no backup of the control file is known: a restore cannot begin', {
      hint: 'CONFIGURE CONTROLFILE AUTOBACKUP ON in production, back up, and run clona catalog',
    });
  }
  const step = async (name: string, work: () => Promise<ToolOutput>, opens: string | null): Promise<void> => {
    const step = `restore: ${name}`;
    await withProgress(onProgress, step, async () => {
      const { text, exitCode } = await watchLongWork(
        tools,
        { step, onProgress, pollMs: options.pollMs },
        work,
      );
      outputs[name] = text;
      const openMode = opens === null ? undefined : (await ask(tools)).openMode;
      const problem = judgeRecovery({ text, exitCode, ...(openMode === undefined ? {} : { openMode }) });
      if (problem !== null) throw problem;
    });
  };
  const logDirs = await placeKeptLogs(options, copied?.logDirs ?? []);
  const reach = { ...target, archiveDirs: [...target.archiveDirs, ...logDirs] };
  const before = await putParameterFile(options, 'as-production');
  await step(
    'mount',
    async () => runRman(tools, 'mount', writeMountProgram(facts, reach, before, controlFile)),
    null,
  );
  const mounted = await ask(tools);
  if (copied !== null) {
    const files = await placeCopies(options, copied, mounted);
    const script = writeUserManagedRecovery(plan, files, mounted, target, null);
    await step('restore', async () => runSqlPlus(tools, 'restore', script), 'READ WRITE');
  } else {
    const program = writeRestoreProgram(plan, catalog, mounted, target, until);
    await step('restore', async () => runRman(tools, 'restore', program), 'READ WRITE');
  }
  const opened = await ask(tools);
  await step('close', async () => runSqlPlus(tools, 'close', writeBeforeNid(before)), null);
  const log = joinGuest(target.platform, tools.workDir, 'nid.log');
  await step('rename', async () => runNid(tools, nidArguments(facts, target, log), log), null);
  const own = await putParameterFile(options, 'as-clone');
  await step('open', async () => runSqlPlus(tools, 'open', writeAfterNid(own, facts)), 'READ WRITE');
  const clone = await ask(tools);
  if (clone.dbid === facts.dbid) {
    throw new ClonaError('recoveryFailed', `the clone still has the DBID of production, ${clone.dbid}`, {
      hint: 'nid did not change it: its output is kept; the clone must not be used',
    });
  }
  return { dbid: clone.dbid, name: clone.name, branchPosition: branchOf(opened), outputs };
}

async function putParameterFile(
  { facts, target, tools }: OracleRestoreOptions,
  stage: InstanceStage,
): Promise<string> {
  const path = joinGuest(target.platform, tools.workDir, `init-${stage}.ora`);
  await tools.guest.writeFile(path, writeParameterFile(facts, target, stage), 0o640, tools.signal);
  return path;
}

/** Asked of the server, not of what a program printed. */
async function ask(tools: OracleTools): Promise<MountedDatabase> {
  const { text } = await runSqlPlus(tools, 'ask', sqlPlus(mountedQueries));
  return readMountedFacts(text);
}

function branchOf({ incarnations }: MountedDatabase): Position {
  const current = incarnations.find(({ status }) => status === 'CURRENT');
  return asPosition(BigInt(current?.resetlogs ?? 0));
}
