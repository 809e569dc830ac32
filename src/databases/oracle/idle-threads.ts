import type { IdleThread } from '../../recovery/catalog.ts';
import { lower, upper } from '../../recovery/position.ts';
import type { ControlFileRows } from './control-file.ts';
import { pathUp, type IncarnationTree } from './incarnations.ts';
import { readNumber, readScnOrNull } from './values.ts';

/**
 * Where a thread of a cluster was disabled it wrote no redo, and recovery asks for none: from DISABLE_CHANGE# up to ENABLE_CHANGE#, or
 * up to now. The control file knows the last time only; what it does not know counts as a gap. One for each incarnation on the way.
 */
export function readIdleThreads({ threads }: ControlFileRows, tree: IncarnationTree): IdleThread[] {
  const path = [...pathUp(tree.incarnations, tree.current)];
  const branches = new Map(tree.incarnations.map(({ id, branchPosition }) => [id, branchPosition]));
  return threads.flatMap(({ thread, enabled, enabledFrom, disabledFrom }) => {
    const from = readScnOrNull(disabledFrom);
    if (from === null || from === 0n) return [];
    const again = enabled === 'DISABLED' ? null : readScnOrNull(enabledFrom);
    if (enabled !== 'DISABLED' && (again === null || again <= from)) return [];
    return path.flatMap(([incarnation, cut]): IdleThread[] => {
      const first = upper(from, branches.get(incarnation) ?? from);
      const isCurrent = incarnation === tree.current;
      const to = again === null ? (isCurrent ? null : cut) : lower(again, cut);
      if (to !== null && first >= to) return [];
      return [{ incarnation, thread: readNumber(thread, 'V$THREAD.THREAD#'), from: first, to }];
    });
  });
}
