import type { Backup, Catalog, Incarnation } from './catalog.ts';
import { refuse, top, type Place } from './fields.ts';

/**
 * What no single field shows: names that point nowhere, circles, branches outside their parent (A20).
 * Throws `catalogInvalid` with the path of the first fault. Adapters that build a catalog call it too.
 */
export function checkCatalog(catalog: Catalog): void {
  const { incarnations, backups, logs, onlineLogs, changesWithoutRedo = [], idleThreads = [] } = catalog;
  const known = checkIncarnations(incarnations);
  if (!known.has(catalog.currentIncarnation)) {
    refuse(top, 'currentIncarnation', `there is no incarnation ${catalog.currentIncarnation}`);
  }
  checkBelonging('backups', backups, known);
  checkBelonging('logs', logs, known);
  checkBelonging('onlineLogs', onlineLogs, known);
  checkBelonging('changesWithoutRedo', changesWithoutRedo, known);
  checkBelonging('idleThreads', idleThreads, known);
  checkBackups(backups);
}

function checkIncarnations(incarnations: readonly Incarnation[]): Map<number, Incarnation> {
  if (incarnations.length === 0) refuse(top, 'incarnations', 'there is no incarnation at all');
  const known = new Map<number, Incarnation>();
  for (const [index, incarnation] of incarnations.entries()) {
    if (known.has(incarnation.id)) {
      refuse(at('incarnations', index), 'id', `incarnation ${incarnation.id} is listed twice`);
    }
    known.set(incarnation.id, incarnation);
  }
  // Positions that rise from parent to child leave no room for a circle, but a circle deserves its own name.
  refuseCircle(
    'incarnations',
    'parent',
    incarnations.map(({ id }) => id),
    (id) => {
      const parent = known.get(id)?.parent ?? null;
      return parent === null ? [] : [parent];
    },
  );
  for (const [index, { parent: parentId, branchPosition }] of incarnations.entries()) {
    if (parentId === null) continue;
    const parent = known.get(parentId);
    if (parent === undefined)
      refuse(at('incarnations', index), 'parent', `there is no incarnation ${parentId}`);
    if (branchPosition <= parent.branchPosition) {
      refuse(
        at('incarnations', index),
        'branchPosition',
        `${branchPosition} lies outside the parent: incarnation ${parentId} begins at ${parent.branchPosition}`,
      );
    }
  }
  return known;
}

function checkBelonging(
  list: string,
  records: readonly { incarnation: number }[],
  known: ReadonlyMap<number, unknown>,
): void {
  for (let index = 0; index < records.length; index += 1) {
    const { incarnation } = records[index]!; // below the length
    if (!known.has(incarnation))
      refuse(at(list, index), 'incarnation', `there is no incarnation ${incarnation}`);
  }
}

function checkBackups(backups: readonly Backup[]): void {
  const byLabel = new Map<string, Backup>();
  for (const [index, backup] of backups.entries()) {
    const { label, kind, start, consistentFrom } = backup;
    if (byLabel.has(label)) refuse(at('backups', index), 'label', `the label "${label}" is used twice`);
    byLabel.set(label, backup);
    if (kind !== 'export' && start !== null && consistentFrom !== null && start > consistentFrom) {
      refuse(at('backups', index), 'consistentFrom', `${consistentFrom} is below start, ${start}`);
    }
  }
  for (const [index, { requires = [] }] of backups.entries()) {
    const unknown = requires.find((label) => !byLabel.has(label));
    if (unknown !== undefined) refuse(at('backups', index), 'requires', `there is no backup "${unknown}"`);
  }
  refuseCircle('backups', 'requires', [...byLabel.keys()], (label) => byLabel.get(label)!.requires ?? []); // found above
}

/** Walks depth first without recursion: a chain may be as long as the list. */
function refuseCircle<Key>(
  list: string,
  field: string,
  keys: readonly Key[],
  nextOf: (key: Key) => readonly Key[],
): void {
  const done = new Set<Key>();
  const open = new Set<Key>();
  for (const [index, root] of keys.entries()) {
    const stack = [root];
    while (stack.length > 0) {
      const key = stack.at(-1)!; // not empty
      if (done.has(key)) stack.pop();
      else if (open.has(key)) {
        // All that it leads to is done; the next turn takes it off.
        open.delete(key);
        done.add(key);
      } else {
        open.add(key);
        for (const next of nextOf(key)) {
          if (open.has(next)) refuse(at(list, index), field, `goes in a circle through ${String(next)}`);
          stack.push(next);
        }
      }
    }
  }
}

function at(list: string, index: number): Place {
  return { list, index };
}
