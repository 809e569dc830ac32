import type { Vim } from './client.ts';
import { findInPath, networkPath, networkTypes } from './inventory.ts';
import { readAllMachines } from './list.ts';
import { marksOf, readAttributeKeys } from './marks.ts';
import { child, children, moRef, text } from './soap.ts';

/** Names of the machines with a card on a port group that are no clones of clona; none where there is no such group. */
export async function listMachinesOn(
  vim: Vim,
  datacenter: string,
  portGroup: string,
  signal: AbortSignal,
): Promise<string[]> {
  const path = networkPath({ datacenter }, portGroup);
  const network = await findInPath(vim, path, networkTypes, signal);
  if (network === undefined) return [];
  const keys = await readAttributeKeys(vim, signal);
  const machines = await readAllMachines(vim, ['name', 'network', 'customValue'], signal);
  return machines
    .flatMap((machine) => {
      const values = new Map(
        children(machine, 'propSet').map((set) => [text(child(set, 'name')), child(set, 'val') ?? '']),
      );
      const networks = children(values.get('network'), 'ManagedObjectReference').map(moRef);
      const isThere = networks.some((one) => one?.moref === network.moref);
      const isClone = marksOf(values.get('customValue'), keys).source !== undefined;
      return isThere && !isClone ? [text(values.get('name'))] : [];
    })
    .toSorted();
}
