import { createHash } from 'node:crypto';
import { ClonaError } from '../../errors.ts';
import type { Vim } from './client.ts';
import { children, moRef, type MoRef, type XmlNode } from './soap.ts';

/** Names in the inventory as a site gives them; each may be a path below its own root ("folder/name"). */
export interface InventoryPlaces {
  datacenter: string;
  /** Compute cluster or host whose resources the clones use. */
  cluster?: string | undefined;
  /** Below the cluster's root pool; default: that root. */
  resourcePool?: string | undefined;
  datastore?: string | undefined;
  datastoreCluster?: string | undefined;
  /** Folder of machines; default: the datacenter's own. */
  folder?: string | undefined;
}

/** An object by inventory path; undefined when there is none of that kind (SearchIndex.FindByInventoryPath). */
export async function findInPath(
  vim: Vim,
  inventoryPath: string,
  types: readonly string[],
  signal: AbortSignal,
): Promise<MoRef | undefined> {
  const [found] = await vim.call('FindByInventoryPath', vim.content.searchIndex, { inventoryPath }, signal);
  const reference = moRef(found);
  return reference !== undefined && types.includes(reference.type) ? reference : undefined;
}

/** Everything that a card may be connected to. */
export const networkTypes: readonly string[] = ['Network', 'DistributedVirtualPortgroup', 'OpaqueNetwork'];

/** A network of a datacenter, by its name or its path below the networks' folder. */
export function networkPath({ datacenter }: Pick<InventoryPlaces, 'datacenter'>, network: string): string {
  return `/${trimPath(datacenter)}/network/${trimPath(network)}`;
}

/** The last part of an inventory path. */
export function nameOfPath(path: string): string {
  return trimPath(path).split('/').at(-1) ?? path;
}

/** Where the machines of a datacenter are, as the API's paths say it. */
export function machinePath({ datacenter, folder }: InventoryPlaces, name: string): string {
  return ['', datacenter, 'vm', ...(folder === undefined ? [] : [trimPath(folder)]), name].join('/');
}

export interface FoundPlaces {
  datacenter: MoRef;
  resourcePool: MoRef;
  datastore: MoRef | undefined;
  datastoreCluster: MoRef | undefined;
  folder: MoRef;
}

/** Resolves every place at once; what is missing is named together, so that one run shows all mistakes. */
export async function findPlaces(
  vim: Vim,
  places: InventoryPlaces,
  signal: AbortSignal,
): Promise<FoundPlaces> {
  const missing: string[] = [];
  const find = async (what: string, path: string, types: readonly string[]): Promise<MoRef | undefined> => {
    const found = await findInPath(vim, path, types, signal);
    if (found === undefined) missing.push(`${what} ${path}`);
    return found;
  };
  const root = `/${trimPath(places.datacenter)}`;
  const { cluster, resourcePool, datastore, datastoreCluster, folder } = places;
  const [center, pool, store, pod, machines] = await Promise.all([
    find('datacenter', root, ['Datacenter']),
    findPool(vim, root, cluster, resourcePool, missing, signal),
    datastore === undefined
      ? undefined
      : find('datastore', `${root}/datastore/${trimPath(datastore)}`, ['Datastore']),
    datastoreCluster === undefined
      ? undefined
      : find('datastore cluster', `${root}/datastore/${trimPath(datastoreCluster)}`, ['StoragePod']),
    find('folder', `${root}/vm${folder === undefined ? '' : `/${trimPath(folder)}`}`, ['Folder']),
  ]);
  missing.sort();
  if (missing.length > 0 || center === undefined || pool === undefined || machines === undefined) {
    throw new ClonaError('machineFailed', `vSphere has no ${missing.join(', no ')}`, {
      hint: 'check the names in machines.vsphere; the user may also lack the right to see them',
      details: { missing },
    });
  }
  return {
    datacenter: center,
    resourcePool: pool,
    datastore: store,
    datastoreCluster: pod,
    folder: machines,
  };
}

async function findPool(
  vim: Vim,
  root: string,
  cluster: string | undefined,
  pool: string | undefined,
  missing: string[],
  signal: AbortSignal,
): Promise<MoRef | undefined> {
  if (cluster === undefined && pool === undefined) {
    missing.push('place to run (name a cluster or a resource pool)');
    return undefined;
  }
  const below = `${root}/host/${trimPath(cluster ?? '')}`;
  if (pool !== undefined) {
    // A pool may be named by its whole path below the datacenter's hosts.
    const path =
      cluster === undefined ? `${root}/host/${trimPath(pool)}` : `${below}/Resources/${trimPath(pool)}`;
    const found = await findInPath(vim, path, ['ResourcePool', 'VirtualApp'], signal);
    if (found === undefined) missing.push(`resource pool ${path}`);
    return found;
  }
  const types = ['ComputeResource', 'ClusterComputeResource', 'HostSystem'];
  const found = await findInPath(vim, below, types, signal);
  const own = found === undefined ? undefined : await rootPool(vim, found, signal);
  if (own === undefined) missing.push(`cluster or host ${below}`);
  return own;
}

async function rootPool(vim: Vim, compute: MoRef, signal: AbortSignal): Promise<MoRef | undefined> {
  if (compute.type !== 'HostSystem') return readReference(vim, compute, 'resourcePool', signal);
  const parent = await readReference(vim, compute, 'parent', signal);
  return parent === undefined ? undefined : readReference(vim, parent, 'resourcePool', signal);
}

export async function readReference(
  vim: Vim,
  target: MoRef,
  property: string,
  signal: AbortSignal,
): Promise<MoRef | undefined> {
  const value: XmlNode | undefined = (await vim.read(target, [property], signal)).get(property);
  return moRef(value);
}

/** Paths may be written with or without slashes around them. */
export function trimPath(path: string): string {
  return path.replaceAll(/^\/+|\/+$/g, '');
}

/** The host of that name; a lone host may be given by the name of its compute resource, which is the same. */
export async function findHost(
  vim: Vim,
  datacenter: string,
  host: string,
  signal: AbortSignal,
): Promise<MoRef> {
  const path = `/${trimPath(datacenter)}/host/${trimPath(host)}`;
  const found = await findInPath(vim, path, ['HostSystem', 'ComputeResource'], signal);
  const hosts =
    found?.type === 'ComputeResource' ? (await vim.read(found, ['host'], signal)).get('host') : undefined;
  const reference =
    found?.type === 'HostSystem' ? found : moRef(children(hosts, 'ManagedObjectReference')[0]);
  if (reference !== undefined) return reference;
  throw new ClonaError('machineFailed', `there is no host ${path}`, {
    hint: 'a host in a cluster is named with it: "cluster/host"',
  });
}

/** Longest name of a standard switch (vSphere Configuration Maximums); its port group gets the same. */
const longestSwitch = 31;

/** The network that is made for one staging machine. Long names end in a number of their own. */
export function isolatedNetworkName(machine: string): string {
  const name = `clona-${machine}`;
  if (name.length <= longestSwitch) return name;
  const digest = createHash('sha256').update(machine).digest('hex').slice(0, 8);
  return `${name.slice(0, longestSwitch - 9)}-${digest}`;
}
