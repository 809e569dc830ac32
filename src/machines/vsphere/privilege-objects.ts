import { isFault, type Vim } from './client.ts';
import { findHost, findInPath, findPlaces, networkPath, networkTypes, trimPath } from './inventory.ts';
import { readAttributeKeys } from './marks.ts';
import { sourcePath, type CloneRequest } from './prepare-clone.ts';
import {
  missingPrivileges,
  promotionPrivileges,
  readPrivileges,
  type CloneWays,
  type PrivilegeObjects,
} from './privileges.ts';
import { findVirtualMachine, readVirtualMachine } from './virtual-machine.ts';
import { text, type MoRef } from './soap.ts';

export interface PrivilegeQuestion extends Pick<CloneRequest, 'places' | 'source' | 'network' | 'wish'> {
  customization: boolean;
}

/** Where a site needs privileges, and for what ways of cloning. Names that vSphere lacks are all said at once. */
export async function findPrivilegeObjects(
  vim: Vim,
  { places, source, network, wish, customization }: PrivilegeQuestion,
  signal: AbortSignal,
): Promise<{ objects: PrivilegeObjects; ways: CloneWays }> {
  const path = sourcePath({ source, places });
  const [found, production, keys] = await Promise.all([
    findPlaces(vim, places, signal),
    findVirtualMachine(vim, path, signal),
    readAttributeKeys(vim, signal),
  ]);
  const { datastores } = await readVirtualMachine(vim, production, signal);
  const { datacenter, folder, datastore, datastoreCluster } = places;
  const store = found.datastore ?? found.datastoreCluster;
  const named = (reference: MoRef | undefined, name: string) =>
    reference === undefined ? [] : [{ reference, name }];
  const objects: PrivilegeObjects = {
    vcenter: named(vim.content.rootFolder, 'the vCenter'),
    production: named(production, `production ${path}`),
    'production datastore': await namedByThemselves(vim, datastores, signal),
    folder: named(
      found.folder,
      `the folder /${trimPath(datacenter)}/vm${folder === undefined ? '' : `/${trimPath(folder)}`}`,
    ),
    pool: named(found.resourcePool, `the resource pool of ${places.resourcePool ?? places.cluster ?? ''}`),
    // Without one of its own a clone lies where production does.
    datastore:
      store === undefined
        ? await namedByThemselves(vim, datastores, signal)
        : named(store, `the datastore ${datastore ?? datastoreCluster ?? ''}`),
    ...(await findNetworkObjects(vim, datacenter, network, signal)),
  };
  const ways = {
    linked: wish.linked,
    ownNetwork: 'host' in network,
    customization,
    datastoreCluster: datastoreCluster !== undefined,
    hasMarks: keys.source !== undefined,
  };
  return { objects, ways };
}

/**
 * What the session's user lacks of promoting and taking back the machine at `inventoryPath`, for a promotion to ask
 * before anybody is disturbed: "privilege on object" each. Where nobody may ask, nothing is known to lack.
 */
export async function findPromotionLacks(
  vim: Vim,
  inventoryPath: string,
  signal: AbortSignal,
): Promise<{ user: string; lacks: string[] }> {
  try {
    const production = await findVirtualMachine(vim, inventoryPath, signal);
    const { datastores } = await readVirtualMachine(vim, production, signal);
    // Not the vCenter as a whole: who found production may see what is needed of it.
    const objects: PrivilegeObjects = {
      production: [{ reference: production, name: `production ${inventoryPath}` }],
      'production datastore': await namedByThemselves(vim, datastores, signal),
    };
    const held = await readPrivileges(vim, objects, signal);
    const missing = missingPrivileges(promotionPrivileges, noWays, objects, held);
    return { user: held.user, lacks: missing.map(({ privilege, name }) => `${privilege} on ${name}`) };
  } catch (error) {
    if (isFault(error, 'NoPermission') || isFault(error, 'NotSupported')) return { user: '', lacks: [] };
    throw error;
  }
}

const noWays: CloneWays = {
  linked: false,
  ownNetwork: false,
  customization: false,
  datastoreCluster: false,
  hasMarks: true,
};

async function findNetworkObjects(
  vim: Vim,
  datacenter: string,
  network: CloneRequest['network'],
  signal: AbortSignal,
): Promise<PrivilegeObjects> {
  if ('host' in network) {
    const reference = await findHost(vim, datacenter, network.host, signal);
    return { host: [{ reference, name: `the host ${network.host}` }] };
  }
  const path = networkPath({ datacenter }, network.portGroup);
  const reference = await findInPath(vim, path, networkTypes, signal);
  return reference === undefined ? {} : { network: [{ reference, name: `the network ${path}` }] };
}

async function namedByThemselves(vim: Vim, references: readonly MoRef[], signal: AbortSignal) {
  return Promise.all(
    references.map(async (reference) => ({
      reference,
      name: `the datastore ${text((await vim.read(reference, ['name'], signal)).get('name'))}`,
    })),
  );
}
