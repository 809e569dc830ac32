import { ClonaError } from '../../errors.ts';
import { readLineage, tracePath } from '../../recovery/lineage.ts';
import { asPosition, type Position } from '../../recovery/position.ts';
import type { ParameterDecision } from './clone-parameters.ts';
import { estimateNeeds, examineClone, requireFitClone } from './examine-clone.ts';
import { makeFolder, requireEmptyFolders, type OracleTools } from './guest-tools.ts';
import { copiedDatabase } from './place-copies.ts';
import { placeKept, requireWalletRoot, walletRootOf, type Kept } from './place-kept-files.ts';
import { chooseControlFile } from './restore-facts.ts';
import {
  clearFolder,
  decideResumption,
  identify,
  readMark,
  writeMark,
  type RestoreMark,
  type RestoreStage,
} from './restore-mark.ts';
import { abortClone, closeAndRename, openAsClone, restoreAndOpen, type RestoreRun } from './restore-steps.ts';
import { openSqlPlusSession } from './sqlplus-session.ts';
import { decideFromFacts } from './restore-target.ts';
import type { OracleRestoreOptions } from './restore-options.ts';

export interface OracleRestore {
  dbid: string;
  name: string;
  /** Branch position of the incarnation that the restore opened, as the server says it (R5). */
  branchPosition: Position;
  /** What every program printed, by step: evidence. */
  outputs: Record<string, string>;
  /** NLS_CHARACTERSET of the clone; null: it does not say. */
  characterSet: string | null;
  /** Where an earlier try was taken up, and why; null: it began from nothing. */
  resumed: string | null;
  /** What of production's parameters the clone has, each with its reason. */
  parameters: ParameterDecision[];
  /** Files that were kept and are placed in the clone now. */
  placed: string[];
  warnings: string[];
}

/**
 * Restores a backup with RMAN into a clone, renames it with nid, and leaves it open, restricted, waiting for its fence. Nothing
 * is overwritten: the folders of the clone must be empty, or hold this very restore, broken off: then it goes on where
 * that can be known, and is done again from nothing where it cannot (`restore-mark.ts`). Called again after its end it answers
 * the same. Throws what the output means (`judgeRecovery`), never only that it failed; the mark in the data folder says that
 * what lies there is no whole clone.
 */
export async function restoreOracle(options: OracleRestoreOptions): Promise<OracleRestore> {
  const { plan, facts, target, tools, kept = null } = options;
  refuseReachless(options);
  refuseUnseen(options);
  const controlFile = findControlFile(options);
  requireWalletRoot(facts, kept);
  if (options.catalog.backups.some(({ label, kind }) => label === plan.backup && kind === 'export')) {
    throw new ClonaError(
      'questionInvalid',
      `${plan.backup ?? ''} is an export: it is imported, not restored`,
      {
        hint: 'clona prove --import imports the newest one into the CLONA schemas; or name another target',
      },
    );
  }
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  const identity = identify(facts, plan, target);
  const found = await readMark(tools, target.dataDir);
  const resumption = decideResumption(found, identity, target.dataDir);
  const clone = await examineClone(tools, target);
  const needs = estimateNeeds(facts, plan);
  const warnings = requireFitClone(clone, facts, target, needs, resumption.kind !== 'begin');
  const decisions = decideFromFacts(facts, target, clone.memoryBytes, kept?.parameters ?? null);
  const hasKeystore = kept?.files.some(({ role }) => role === 'keystore') === true;
  const choices = { decisions, walletRoot: hasKeystore ? walletRootOf(target) : undefined };
  const run: RestoreRun = { ...options, controlFile, choices, outputs: {} };
  let mark: RestoreMark = found ?? { ...identity, stage: 'restoring', branchPosition: null };
  const reach = async (stage: RestoreStage, branchPosition = mark.branchPosition): Promise<void> => {
    mark = { ...mark, stage, branchPosition };
    await writeMark(tools, target.dataDir, mark);
  };
  let from: RestoreStage = resumption.kind === 'from' ? resumption.stage : 'restoring';
  if (resumption.kind === 'begin') await requireEmptyFolders(tools, [target.dataDir, target.recoveryDir]);
  await reach(from);
  const placed = kept === null ? [] : await placeKept(tools, target, kept);
  if (from === 'restoring') {
    if (resumption.kind === 'over') await startOver(run);
    const branchPosition = await restoreAndOpen(run);
    await reach('opened', branchPosition);
  }
  if (from === 'restoring' || from === 'opened' || from === 'renaming') {
    const isRenamed = await closeAndRename(run, from, async () => reach('renaming')).catch(
      async (error: unknown) => {
        // What nid left half done is not known: the next try begins from nothing.
        if (from === 'renaming' && !tools.signal.aborted) await reach('restoring');
        throw error;
      },
    );
    await reach('renamed');
    if (isRenamed) from = 'renamed';
  }
  const { dbid, name } = await openAsClone(run, from);
  if (dbid === facts.dbid) {
    throw new ClonaError('recoveryFailed', `the clone still has the DBID of production, ${dbid}`, {
      hint: 'nid did not change it: its output is kept; the clone must not be used',
    });
  }
  const characterSet = await readCharacterSet(tools);
  if (facts.characterSet !== undefined && characterSet !== null && characterSet !== facts.characterSet) {
    throw new ClonaError(
      'recoveryFailed',
      `the clone has ${characterSet}, production ${facts.characterSet}`,
      {
        hint: 'a restore does not change the character set: is it the archive of this database?',
      },
    );
  }
  if (from !== 'restored') await reach('restored');
  return {
    dbid,
    name,
    branchPosition: asPosition(BigInt(mark.branchPosition ?? 0)),
    outputs: run.outputs,
    characterSet,
    resumed: resumption.kind === 'begin' ? null : resumption.reason,
    parameters: decisions,
    placed,
    warnings: [...warnings, ...warnOfWallet(kept)],
  };
}

function warnOfWallet(kept: Kept | null): string[] {
  if (kept?.files.some(({ role }) => role === 'wallet') !== true) return [];
  return [
    "production's wallet lies on the clone: what it opens (TCPS, external passwords) opens from there, too; only the network round it holds that back",
  ];
}

function refuseReachless({ plan }: OracleRestoreOptions): void {
  if (plan.reachable && plan.backup !== null) return;
  throw new ClonaError('targetUnreachable', 'there is no way to the target: nothing is restored', {
    hint: 'clona plan says why for every backup, and what can be reached instead',
  });
}

/** A disk group of ASM is of production's own storage: a clone sees it never, or could write to it. */
function refuseUnseen({ plan, facts }: OracleRestoreOptions): void {
  const inAsm = facts.pieces[plan.backup ?? '']?.find((path) => path.startsWith('+'));
  if (inAsm === undefined) return;
  throw new ClonaError('questionInvalid', `the backup lies in a disk group of ASM: ${inAsm}`, {
    hint: 'a clone sees only files: BACKUP … FORMAT into the archive, or BACKUP BACKUPSET … FORMAT copies what is there',
  });
}

function findControlFile({ plan, catalog, facts }: OracleRestoreOptions): string {
  const path = tracePath(readLineage(catalog), plan.target.incarnation).incarnations;
  // The control file beside the copies knows their files; one of RMAN's may be of a time when there were others.
  const own = copiedDatabase(facts, plan.backup)?.controlFile;
  const found = own ?? chooseControlFile(facts, plan, catalog, path);
  if (found !== null) return found;
  throw new ClonaError('archiveDamaged', 'no backup of the control file is known: a restore cannot begin', {
    hint: 'CONFIGURE CONTROLFILE AUTOBACKUP ON in production, back up, and run clona catalog',
  });
}

async function readCharacterSet(tools: OracleTools): Promise<string | null> {
  const sql = "SELECT VALUE FROM NLS_DATABASE_PARAMETERS WHERE PARAMETER = 'NLS_CHARACTERSET'";
  const [row] = await openSqlPlusSession(tools, 'ask').query(sql);
  return row?.[0] ?? null;
}

/** The mark says that these folders hold nothing but this restore, half done: they are emptied, the mark last of all. */
async function startOver(run: RestoreRun): Promise<void> {
  const { tools, target } = run;
  await abortClone(run);
  await clearFolder(tools, target.recoveryDir);
  await clearFolder(tools, target.dataDir);
}
