import { ClonaError } from '../errors.ts';
import type { Catalog, Incarnation } from './catalog.ts';
import type { Position } from './position.ts';

/** R1: the way from the root to one incarnation, and how far each incarnation on it is valid. */
export interface Path {
  /** Root first. */
  incarnations: readonly Incarnation[];
  /** Depth on the path by incarnation, 0 is the root; an incarnation that is not in here is not on the path. */
  depthOf: ReadonlyMap<number, number>;
  /** By depth: the branch position of the child on the path; null at the end of the path. */
  cuts: readonly (Position | null)[];
}

export interface Lineage {
  current: number;
  byId: ReadonlyMap<number, Incarnation>;
}

export type IncarnationStatus = 'CURRENT' | 'PARENT' | 'ORPHAN';

export function readLineage(catalog: Pick<Catalog, 'incarnations' | 'currentIncarnation'>): Lineage {
  const { incarnations, currentIncarnation } = catalog;
  return { current: currentIncarnation, byId: new Map(incarnations.map((one) => [one.id, one])) };
}

export function tracePath(lineage: Lineage, id: number): Path {
  const upwards: Incarnation[] = [];
  for (let next: number | null = id; next !== null; next = upwards.at(-1)!.parent /* just pushed */) {
    const incarnation = lineage.byId.get(next);
    if (incarnation === undefined) {
      throw new ClonaError('questionInvalid', `there is no incarnation ${next}`, {
        hint: `the catalog knows ${[...lineage.byId.keys()].slice(0, 20).join(', ')}`,
      });
    }
    upwards.push(incarnation);
  }
  const incarnations = upwards.toReversed();
  return {
    incarnations,
    depthOf: new Map(incarnations.map((incarnation, depth) => [incarnation.id, depth])),
    cuts: incarnations.map((_, depth) => incarnations[depth + 1]?.branchPosition ?? null),
  };
}

/** Where incarnation `id` ends on the path; undefined: it is not on it. */
export function cutOf(path: Path, id: number): Position | null | undefined {
  const depth = path.depthOf.get(id);
  return depth === undefined ? undefined : path.cuts[depth];
}

/** A1: whose state "until" is: the deepest incarnation of the path that begins below it, else the root. */
export function ownerOf(path: Path, until: Position): number {
  const owner = path.incarnations.findLast(({ branchPosition }) => branchPosition < until);
  return (owner ?? path.incarnations[0]!).id; // a path has at least its root
}

export function statusOf(currentPath: Path, id: number): IncarnationStatus {
  const depth = currentPath.depthOf.get(id);
  if (depth === undefined) return 'ORPHAN';
  return depth === currentPath.incarnations.length - 1 ? 'CURRENT' : 'PARENT';
}

/** As RMAN's history scripts draw it: ` -> 1 -> 2 -> 4`. */
export function showPath(path: Path): string {
  return path.incarnations.map(({ id }) => ` -> ${id}`).join('');
}
