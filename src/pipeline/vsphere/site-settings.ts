import { readFile } from 'node:fs/promises';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { ClonaError } from '../../errors.ts';
import type { GuestAddress } from '../../guest/guest.ts';
import type { VimAddress } from '../../machines/vsphere/client.ts';
import {
  isolatedNetworkName,
  machinePath,
  networkPath,
  type InventoryPlaces,
} from '../../machines/vsphere/inventory.ts';
import type { VsphereMachine } from '../../machines/vsphere/machines.ts';
import { sourcePath } from '../../machines/vsphere/prepare-clone.ts';
import { resolveDatabaseAddress } from '../../site/address.ts';
import { resolveSecret } from '../../site/secret.ts';
import type { Site } from '../../site/site.ts';

/** What a site file says of vSphere, in the words of the adapters. */

type VsphereSettings = NonNullable<Site['machines']['vsphere']>;
export type DatabaseName = Pick<DatabaseAddress, 'engine' | 'database' | 'user' | 'port'>;

export function vsphereSettings({ machines }: Site): VsphereSettings {
  if (machines.vsphere === undefined)
    throw new ClonaError('usage', 'the site is not on the platform vsphere');
  return machines.vsphere;
}

/** The vCenter and who speaks to it; who promotes may be somebody else than who clones. Secrets are read now. */
export async function resolveVimAddress(site: Site, purpose: 'clone' | 'promotion'): Promise<VimAddress> {
  const settings = vsphereSettings(site);
  const { server, authority, allowUnverifiedTls, promotionUser, promotionPassword } = settings;
  const [user, password] =
    purpose === 'promotion' && promotionUser !== undefined && promotionPassword !== undefined
      ? [promotionUser, promotionPassword]
      : [settings.user, settings.password];
  return {
    server,
    user,
    password: await resolveSecret(password),
    allowUnverifiedTls,
    ...(authority === undefined ? {} : { authority: await readFile(authority, 'utf8') }),
  };
}

/** `LiveStaging` as `pulumi up` takes it, by the site file. `database` is what will be restored into it. */
export async function vsphereStagingArgs(
  site: Site,
  name: string,
  database: DatabaseName,
  labels: Readonly<Record<string, string>> = {},
): Promise<LiveStagingArgs> {
  const settings = vsphereSettings(site);
  const { staging, machines } = site;
  const { isolatedPortGroup, host, clone, systemDisk, dataDisk, cpus, memory } = settings;
  const { endpoint: _endpoint, ...guest } = guestAt(site, '', undefined);
  return {
    platform: 'vsphere',
    name,
    source: machines.live.name,
    timeToLiveMs: staging.timeToLive,
    labels: { site: site.name, ...labels },
    // Restored from LIVE, it has LIVE's names inside.
    database: { engine: database.engine, name: database.database, user: database.user, port: database.port },
    vsphere: {
      address: await resolveVimAddress(site, 'clone'),
      places: inventoryPlaces(settings),
      clone,
      customization: settings.customization,
      network: isolatedPortGroup === undefined ? { host: host ?? '' } : { portGroup: isolatedPortGroup },
      size: {
        cpus,
        memoryMb: memory === undefined ? undefined : Math.ceil(memory / 1024 ** 2 / 4) * 4,
        dataDiskGib: staging.size === undefined ? undefined : Math.ceil(staging.size / 1024 ** 3),
      },
      guest: { ...guest, port: site.guest?.port ?? 22, via: jumpHost(settings) },
      systemDisk,
      dataDisk,
    },
  };
}

/** The machines of a site, for `createVsphereMachines`: production by its own name, every other one is a clone. */
export function vsphereMachine(site: Site, name: string, database: DatabaseName): VsphereMachine {
  const settings = vsphereSettings(site);
  const places = inventoryPlaces(settings);
  const live = site.machines.live.name;
  const isLive = name === live;
  return {
    inventoryPath: isLive ? sourcePath({ source: live, places }) : machinePath(places, name),
    role: isLive ? 'live' : 'staging',
    guestAt: (address, hostKey) => ({
      ...guestAt(site, address, isLive ? undefined : hostKey),
      // Only clones are where nobody else can reach them.
      via: isLive ? undefined : jumpHost(settings),
    }),
    databaseAt: (host) => ({ ...database, host }),
    systemDisk: settings.systemDisk,
    dataDisk: settings.dataDisk,
    isolatedNetworks: [networkPath(places, settings.isolatedPortGroup ?? isolatedNetworkName(name))],
  };
}

function guestAt({ guest }: Site, host: string, hostKey: string | undefined): GuestAddress {
  if (guest?.hostKey === undefined) {
    throw new ClonaError('siteInvalid', 'the platform vsphere needs guest.hostKey in the site file');
  }
  return {
    endpoint: { kind: 'tcp', host, port: guest.port },
    user: guest.user,
    privateKeyFile: guest.privateKey,
    // A clone that made itself a new key says so through VMware Tools; else it has production's.
    hostKey: hostKey ?? guest.hostKey,
    platform: guest.platform,
  };
}

/** The machine with a leg in the isolated network; undefined: clona itself is on one that can see it. */
function jumpHost({ jumpHost: jump }: VsphereSettings): GuestAddress | undefined {
  if (jump === undefined) return undefined;
  return {
    endpoint: { kind: 'tcp', host: jump.host, port: jump.port },
    user: jump.user,
    privateKeyFile: jump.privateKey,
    hostKey: jump.hostKey,
    platform: 'linux',
  };
}

export function inventoryPlaces(settings: VsphereSettings): InventoryPlaces {
  const { datacenter, cluster, resourcePool, datastore, datastoreCluster, folder } = settings;
  return { datacenter, cluster, resourcePool, datastore, datastoreCluster, folder };
}

/** What the database is called and at which port of its machine it listens. */
export async function nameDatabase({ database }: Pick<Site, 'database'>): Promise<DatabaseName> {
  const given = await resolveDatabaseAddress(database);
  const own = database.engine === 'oracle' ? { name: '', port: 1521 } : { name: 'postgres', port: 5432 };
  return {
    engine: database.engine,
    database: given?.database ?? database.name ?? own.name,
    user: given?.user ?? database.user ?? own.name,
    port: given?.port ?? database.port ?? own.port,
  };
}
