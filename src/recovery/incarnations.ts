import type { Catalog } from './catalog.ts';
import { readLineage, showPath, statusOf, tracePath, type IncarnationStatus } from './lineage.ts';
import type { Position } from './position.ts';

export interface IncarnationLine {
  id: number;
  /** 0 for a root, as V$DATABASE_INCARNATION has it. */
  prior: number;
  branchPosition: Position;
  openedAt: string | null;
  status: IncarnationStatus;
  path: string;
}

/** Every incarnation in the order of the catalog, with its status and the way to it from the root. */
export function listIncarnations(
  catalog: Pick<Catalog, 'incarnations' | 'currentIncarnation'>,
): IncarnationLine[] {
  const lineage = readLineage(catalog);
  const currentPath = tracePath(lineage, catalog.currentIncarnation);
  return catalog.incarnations.map(({ id, parent, branchPosition, openedAt }) => ({
    id,
    prior: parent ?? 0,
    branchPosition,
    openedAt,
    status: statusOf(currentPath, id),
    path: showPath(tracePath(lineage, id)),
  }));
}
