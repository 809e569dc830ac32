import type { PlanAnswer } from '../answer.ts';
import type { ArchivedLog, Backup, Catalog } from '../catalog.ts';
import { sortByFirst } from '../sort-by-first.ts';
import {
  cutOf,
  readLineage,
  statusOf,
  tracePath,
  type IncarnationStatus,
  type Lineage,
  type Path,
} from '../lineage.ts';
import { lower, upper, type Position } from '../position.ts';
import { makeScale, type Scale } from './scale.ts';

/** What may be drawn beside the catalog itself. */
export interface HistoryExtras {
  /** The target asked for and the way to it. */
  plan?: PlanAnswer;
  /** ALWM by incarnation (`decideRetention`). */
  marks?: ReadonlyMap<number, Position | null>;
  /** Labels of obsolete backups. */
  obsolete?: ReadonlySet<string>;
}

export interface Stretch {
  from: Position;
  to: Position;
}

/** One incarnation as it is drawn: a line along positions. */
export interface Lane {
  id: number;
  parent: number | null;
  status: IncarnationStatus;
  branchPosition: Position;
  from: Position;
  to: Position;
  /** By thread: what the archive holds, and what it should hold but does not. */
  threads: { thread: number; held: Stretch[]; gaps: Stretch[] }[];
  online: (Stretch & { thread: number })[];
  /** Where the path of CURRENT leaves it: what follows was given up; null: not left, or not on that path. */
  leftAt: Position | null;
  backups: Backup[];
  mark: Position | null;
  /** The stretch of the way from the backup to the target that runs along this lane. */
  way: Stretch | null;
}

export interface History {
  /** In the order in which they are drawn: each below its parent. */
  lanes: Lane[];
  /** Incarnations left out because there are too many. */
  hidden: number;
  scale: Scale;
  /** null: no question was asked, or nothing is known of the position. */
  target: { incarnation: number; position: Position; reachable: boolean } | null;
}

/** A picture of more lines is no picture. */
const mostLanes = 40;

export function layHistory(catalog: Catalog, extras: HistoryExtras): History {
  const lineage = readLineage(catalog);
  const currentPath = tracePath(lineage, catalog.currentIncarnation);
  const chosen = pickIncarnations(lineage, currentPath, extras.plan);
  const lanes = chosen.map((id) => layLane(catalog, lineage, currentPath, id, extras));
  for (const lane of lanes) reachChildren(lane, lanes);
  const target = findTarget(extras.plan);
  const interesting = lanes.flatMap(({ branchPosition, from, to, backups, mark }) => [
    branchPosition,
    from,
    to,
    ...backups.flatMap(({ consistentFrom }) => consistentFrom ?? []),
    ...(mark === null ? [] : [mark]),
  ]);
  const scale = makeScale(target === null ? interesting : [...interesting, target.position]);
  return { lanes, hidden: catalog.incarnations.length - chosen.length, scale, target };
}

function findTarget(plan: PlanAnswer | undefined): History['target'] {
  if (plan === undefined || plan.target.until === null) return null;
  return { incarnation: plan.target.incarnation, position: plan.target.until, reachable: plan.reachable };
}

/** Depth first, so that a branch lies below what it left; the path of CURRENT and the target's before all others. */
function pickIncarnations({ byId }: Lineage, currentPath: Path, plan: PlanAnswer | undefined): number[] {
  const order: number[] = [];
  const childrenOf = Map.groupBy(byId.values(), ({ parent }) => parent);
  const stack = childrenOf
    .get(null)!
    .toReversed()
    .map(({ id }) => id); // a catalog has a root
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    order.push(id);
    const children = [...(childrenOf.get(id) ?? [])].sort((a, b) =>
      a.branchPosition < b.branchPosition ? -1 : 1,
    );
    stack.push(...children.map((child) => child.id));
  }
  const wanted = currentPath.incarnations.map(({ id }) => id).slice(-Math.floor(mostLanes / 2));
  if (plan !== undefined) wanted.push(plan.target.incarnation);
  const picked = new Set([...new Set([...wanted, ...order.toReversed()])].slice(0, mostLanes));
  return order.filter((id) => picked.has(id));
}

function layLane(
  catalog: Catalog,
  lineage: Lineage,
  currentPath: Path,
  id: number,
  extras: HistoryExtras,
): Lane {
  const { parent, branchPosition } = lineage.byId.get(id)!; // picked from there
  const logs = catalog.logs.filter(({ incarnation }) => incarnation === id);
  // What was the online log of another incarnation is gone since.
  const online = (id === catalog.currentIncarnation ? catalog.onlineLogs : [])
    .filter(({ incarnation, first, end }) => incarnation === id && first < end)
    .map(({ first, end, thread }) => ({ from: first, to: end, thread }));
  const backups = catalog.backups.filter(({ incarnation }) => incarnation === id);
  const lane: Lane = {
    id,
    parent,
    status: statusOf(currentPath, id),
    branchPosition,
    from: branchPosition,
    to: branchPosition,
    threads: layThreads(logs),
    online,
    leftAt: cutOf(currentPath, id) ?? null,
    backups,
    mark: extras.marks?.get(id) ?? null,
    way: layWay(lineage, extras.plan, catalog, id),
  };
  for (const { first, next } of logs) stretch(lane, first, next);
  for (const { from, to } of online) stretch(lane, from, to);
  for (const { start, consistentFrom } of backups) {
    if (start !== null) stretch(lane, start, consistentFrom ?? start);
  }
  return lane;
}

function stretch(lane: Lane, from: Position, to: Position): void {
  lane.from = lower(lane.from, from);
  lane.to = upper(lane.to, to);
}

/** A lane reaches at least to where it was left. */
function reachChildren(lane: Lane, lanes: readonly Lane[]): void {
  for (const { parent, branchPosition } of lanes)
    if (parent === lane.id) stretch(lane, branchPosition, branchPosition);
}

function layThreads(logs: readonly ArchivedLog[]): Lane['threads'] {
  const byThread = Map.groupBy(logs, ({ thread }) => thread);
  return [...byThread]
    .sort(([a], [b]) => a - b)
    .map(([thread, known]) => {
      const held = join(known.filter(({ state }) => state === 'available'));
      const all = join(known);
      const from = all[0]!.from; // a group is never empty
      const to = all.at(-1)!.to;
      const gaps: Stretch[] = [];
      let at = from;
      for (const one of held) {
        if (one.from > at) gaps.push({ from: at, to: one.from });
        at = one.to;
      }
      if (at < to) gaps.push({ from: at, to });
      return { thread, held, gaps };
    });
}

function join(logs: readonly ArchivedLog[]): Stretch[] {
  const joined: Stretch[] = [];
  for (const { first, next } of sortByFirst(logs)) {
    const last = joined.at(-1);
    if (last !== undefined && first <= last.to) last.to = upper(last.to, next);
    else joined.push({ from: first, to: next });
  }
  return joined;
}

/** From the start of the backup along the path to the target, as far as it runs on this incarnation. */
function layWay(
  lineage: Lineage,
  plan: PlanAnswer | undefined,
  catalog: Catalog,
  id: number,
): Stretch | null {
  if (plan === undefined || plan.redoFrom === null || plan.redoTo === null) return null;
  const path = tracePath(lineage, plan.target.incarnation);
  const depth = path.depthOf.get(id);
  if (depth === undefined) return null;
  const backup = catalog.backups.find(({ label }) => label === plan.backup)!; // the plan is of this catalog
  const begun = path.depthOf.get(backup.incarnation) ?? depth;
  if (depth < begun) return null;
  const from = depth === begun ? plan.redoFrom : path.incarnations[depth]!.branchPosition; // on the path
  const cut = path.cuts[depth] ?? null;
  const to = cut === null ? plan.redoTo : lower(cut, plan.redoTo);
  return { from, to };
}
