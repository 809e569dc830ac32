import { applyRedo, copyBlock, readCommitted, type Block, type Redo } from './blocks.ts';
import { logName, type StoredBackup } from './simulation.ts';

/** All that a restore may touch: what the archive holds, the online log, and the control file's incarnations. */
export interface Remains {
  backups: ReadonlyMap<string, StoredBackup>;
  logs: ReadonlyMap<string, readonly Redo[]>;
  /** Records of CURRENT's online log; null when it is lost. */
  online: readonly Redo[] | null;
  incarnations: readonly { id: number; parent: number | null; branch: number }[];
  current: number;
}

/** The document of `clona plan --json`, as far as a restore needs it. */
export interface PlanDocument {
  reachable: boolean;
  target: { incarnation: number; until: string | null };
  backup: string | null;
  logs: { incarnation: number; thread: number; sequence: number }[];
  usesOnlineLog: boolean;
  resetDatabaseToIncarnation: number | null;
  opensNewIncarnation: boolean;
  redoFrom: string | null;
  redoTo: string | null;
  nearest: { below: string | null; above: string | null };
}

/** Does what the plan says and nothing else; what it names must be there. */
export function execute(plan: PlanDocument, remains: Remains): { blocks: Block[]; rows: number[] } {
  const stored = remains.backups.get(plan.backup ?? '');
  if (stored === undefined) throw new Error(`the plan names ${plan.backup}, which is not there`);
  if (stored.rows !== null) return { blocks: [], rows: stored.rows };
  const records: Redo[] = [...stored.ownLog];
  for (const name of plan.logs) {
    const log = remains.logs.get(logName(name));
    if (log === undefined) throw new Error(`the plan names log ${logName(name)}, which is not there`);
    records.push(...upTo(log, cutOf(remains, plan.target.incarnation, name.incarnation)));
  }
  if (plan.usesOnlineLog) {
    if (remains.online === null) throw new Error('the plan uses the online log, which is lost');
    records.push(...upTo(remains.online, cutOf(remains, plan.target.incarnation, remains.current)));
  }
  const blocks = rollForward(stored.blocks, records, Number(plan.redoFrom), Number(plan.redoTo));
  return { blocks, rows: readCommitted(blocks) };
}

/** As a server that follows the history file: a log of a parent is read only up to where the branch left it. */
function cutOf({ incarnations }: Remains, target: number, incarnation: number): number {
  let child = incarnations.find(({ id }) => id === target);
  while (child !== undefined && child.parent !== null) {
    if (child.parent === incarnation) return child.branch;
    const { parent } = child;
    child = incarnations.find(({ id }) => id === parent);
  }
  return Infinity;
}

function upTo(records: readonly Redo[], cut: number): Redo[] {
  return records.filter(({ position }) => position < cut);
}

export function rollForward(
  from: readonly Block[],
  records: readonly Redo[],
  low: number,
  until: number,
): Block[] {
  const blocks = from.map(copyBlock);
  const needed = records.filter(({ position }) => position >= low && position < until);
  const once = new Map(needed.map((redo) => [redo.position, redo]));
  for (const redo of [...once.values()].sort((a, b) => a.position - b.position)) applyRedo(blocks, redo);
  return blocks;
}
