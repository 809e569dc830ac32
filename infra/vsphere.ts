import { createRequire } from 'node:module';
import {
  log,
  output,
  type Input,
  RunError,
  runtime,
  type ComponentResource,
  type Output,
} from '@pulumi/pulumi';
import { ClonaError } from '../src/errors.ts';
import type * as bindings from '@pulumi/vsphere';
import type { MachineFacts } from '../src/machines/machines.ts';
import { isolatedNetworkName } from '../src/machines/vsphere/inventory.ts';
import { isolatedSwitch } from '../src/machines/vsphere/isolated-switch.ts';
import type { Mark } from '../src/machines/vsphere/marks.ts';
import { cloneRequestOf } from '../src/machines/pulumi/clone-request.ts';
import { prepareClone, sourcePath, type PreparedClone } from '../src/machines/vsphere/prepare-clone.ts';
import type { LiveStagingArgs } from './staging-args.ts';
import type { VsphereStagingArgs, VsphereArgs } from './staging-args.ts';

/** Longest time for looking at the inventory. */
const lookLimitMs = 600_000;

type Bindings = typeof bindings;

/** Loaded only where a site is on vSphere: the package is optional. */
const loadBindings = (): Bindings => createRequire(import.meta.url)('@pulumi/vsphere') as Bindings; // as its package says

/** Every look at the inventory and every refusal, before any change; `mayChange` false: for a preview. */
export async function prepareVsphere(
  name: string,
  args: VsphereArgs,
  mayChange: boolean,
  signal: AbortSignal,
): Promise<PreparedClone> {
  return prepareClone(cloneRequestOf(name, args, mayChange), signal);
}

/** A clone of production on vSphere. */
export function createOnVsphere(
  parent: ComponentResource,
  name: string,
  args: VsphereArgs,
): Output<MachineFacts> {
  const prepared =
    args.vsphere.prepared ??
    prepareVsphere(name, args, !runtime.isDryRun(), AbortSignal.timeout(lookLimitMs)).catch(explain);
  // Never unknown, so it is safe to make resources in it.
  return output(prepared).apply((clone) => declareMachine(parent, name, args, clone));
}

/** `pulumi up` shows the text of a RunError alone, of anything else the stack trace, too. */
function explain(error: unknown): never {
  if (!(error instanceof ClonaError)) throw error;
  const hint = error.hint === undefined ? '' : ` (${error.hint})`;
  throw new RunError(`${error.code} ${error.message}${hint}`);
}

function declareMachine(
  parent: ComponentResource,
  name: string,
  args: VsphereArgs,
  clone: PreparedClone,
): Output<MachineFacts> {
  const { Provider, VirtualMachine } = loadBindings();
  const { vsphere, protect } = args;
  const { server, user, password, allowUnverifiedTls } = vsphere.address;
  const provider = new Provider(
    'vsphere',
    {
      vsphereServer: server,
      user,
      ...(vsphere.passwordInState === true ? { password } : {}),
      allowUnverifiedSsl: allowUnverifiedTls === true,
    },
    { parent },
  );
  const times = lifeOf(args, clone);
  for (const warning of clone.warnings) void log.warn(warning, parent);
  const networkId = networkOf(parent, name, provider, clone);
  const { plan, source } = clone;
  const machine = new VirtualMachine(
    name,
    {
      name,
      ...placement(clone, vsphere),
      ...shapeOf(clone),
      clone: {
        templateUuid: source.uuid,
        // Without its base, in a preview, the provider would refuse it.
        linkedClone: clone.base !== undefined,
        timeout: vsphere.cloneTimeoutMinutes ?? 30,
        // No time for its waiter, which ends a whole update for a guest that is slow: clona waits for the guest itself.
        ...(vsphere.customization === undefined
          ? {}
          : { customizationSpec: { id: vsphere.customization, timeout: 0 } }),
      },
      networkInterfaces: plan.adapterTypes.map((adapterType) => ({ networkId, adapterType })),
      tags: clone.tag === undefined ? [] : [clone.tag],
      customAttributes: attributesOf(args, clone, times),
      annotation: `LIVE STAGING of ${source.name}, made by clona; may be destroyed`,
      // The provider's waiters give up with an error in the field; clona waits itself.
      waitForGuestNetTimeout: 0,
      waitForGuestIpTimeout: 0,
      // A staging machine has nothing to lose.
      forcePowerOff: true,
      shutdownWaitTimeout: 1,
    },
    {
      parent,
      provider,
      // Its name is taken until it is gone.
      deleteBeforeReplace: true,
      ignoreChanges: ignoredChanges(vsphere, clone),
      ...(protect === true ? { protect } : {}),
    },
  );
  // Absent until the guest has one.
  const address: Output<string | undefined> = machine.defaultIpAddress;
  return address.apply((known) => factsOf(name, args, times, known ?? ''));
}

/** What a later run leaves as it is. A clone that is there already keeps its shape unless its size is asked for. */
function ignoredChanges({ size }: VsphereStagingArgs, { existing }: PreparedClone): string[] {
  // Known to differ at every look: the provider computes them anew, or never reads them back.
  const noisy = ['clone.ovfNetworkMap', 'clone.ovfStorageMap', 'hardwareVersion'];
  // Servers that leave the swap policy out would, once the state is read back, hand an empty one to the provider.
  if (existing === undefined || existing.drift.length > 0) return noisy;
  return [
    ...noisy,
    'swapPlacementPolicy',
    'clone',
    'guestId',
    'firmware',
    'efiSecureBootEnabled',
    'enableDiskUuid',
    'nestedHvEnabled',
    'cpuHotAddEnabled',
    'memoryHotAddEnabled',
    'scsiType',
    'scsiControllerCount',
    'sataControllerCount',
    'ideControllerCount',
    'nvmeControllerCount',
    'annotation',
    ...(size?.dataDiskGib === undefined ? ['disks'] : []),
    ...(size?.cpus === undefined ? ['numCpus', 'numCoresPerSocket'] : []),
    ...(size?.memoryMb === undefined ? ['memory'] : []),
  ];
}

/** The port group of the site, or one of its own on the switch that has no uplink. */
function networkOf(
  parent: ComponentResource,
  name: string,
  provider: bindings.Provider,
  { network, places }: PreparedClone,
): Input<string> {
  if ('portGroup' in network) return network.portGroup.moref;
  const { HostPortGroup, getNetworkOutput } = loadBindings();
  const group = new HostPortGroup(
    isolatedNetworkName(name),
    {
      name: isolatedNetworkName(name),
      hostSystemId: network.host.moref,
      virtualSwitchName: isolatedSwitch,
      vlanId: network.vlan,
      // Should somebody give the switch an uplink one day, this group still has none.
      activeNics: [],
      standbyNics: [],
    },
    { parent, provider, deleteBeforeReplace: true },
  );
  // vCenter learns of the group from the host, which may take a moment.
  return getNetworkOutput(
    { name: group.name, datacenterId: places.datacenter.moref, retryTimeout: 60 },
    { parent, provider, dependsOn: group },
  ).id;
}

function placement({ places, network }: PreparedClone, { places: asked }: VsphereStagingArgs) {
  return {
    ...('host' in network ? { hostSystemId: network.host.moref } : {}),
    resourcePoolId: places.resourcePool.moref,
    ...(places.datastore === undefined ? {} : { datastoreId: places.datastore.moref }),
    ...(places.datastoreCluster === undefined ? {} : { datastoreClusterId: places.datastoreCluster.moref }),
    ...(asked.folder === undefined ? {} : { folder: asked.folder }),
  };
}

/** Whatever the provider would otherwise set to a default of its own. */
function shapeOf({ plan, source }: PreparedClone) {
  return {
    numCpus: plan.cpus,
    numCoresPerSocket: plan.coresPerSocket,
    memory: plan.memoryMb,
    guestId: source.guestId,
    firmware: source.firmware,
    efiSecureBootEnabled: source.secureBoot,
    enableDiskUuid: source.diskUuids,
    nestedHvEnabled: source.nestedVirtualization,
    cpuHotAddEnabled: source.cpuHotAdd,
    memoryHotAddEnabled: source.memoryHotAdd,
    scsiControllerCount: plan.controllers.scsi,
    sataControllerCount: plan.controllers.sata,
    ideControllerCount: plan.controllers.ide,
    nvmeControllerCount: plan.controllers.nvme,
    ...(plan.scsiType === undefined ? {} : { scsiType: plan.scsiType }),
    disks: plan.disks.map((disk) => ({
      label: disk.label,
      size: disk.sizeGib,
      unitNumber: disk.unitNumber,
      controllerType: disk.controllerType,
      thinProvisioned: disk.thin,
      eagerlyScrub: disk.eagerZeroed,
    })),
  };
}

interface Life {
  createdAt: string;
  expiresAt: string | null;
}

function lifeOf({ expiresAt, timeToLiveMs }: LiveStagingArgs, { existing }: PreparedClone): Life {
  const createdAt = existing?.marks.created ?? new Date().toISOString();
  if (expiresAt !== undefined) return { createdAt, expiresAt };
  if (timeToLiveMs === undefined) return { createdAt, expiresAt: null };
  return { createdAt, expiresAt: new Date(Date.parse(createdAt) + timeToLiveMs).toISOString() };
}

function attributesOf(
  args: VsphereArgs,
  { attributes, base, existing }: PreparedClone,
  { createdAt, expiresAt }: Life,
): Record<string, string> {
  const { labels, source, vsphere } = args;
  const values: Partial<Record<Mark, string | undefined>> = {
    site: labels?.['site'],
    archive: labels?.['archive'],
    source: sourcePath({ source, places: vsphere.places }),
    base: existing?.marks.base ?? base?.id,
    created: createdAt,
    expires: expiresAt ?? undefined,
  };
  return Object.fromEntries(
    Object.entries(values).flatMap(([mark, value]) => {
      const key = attributes[mark as Mark]; // the keys of the object just above
      return key === undefined || value === undefined ? [] : [[key, value]];
    }),
  );
}

/** What the stack says of its machine. Until its guest has an address the machine's name stands for it. */
function factsOf(
  name: string,
  args: VsphereArgs,
  { createdAt, expiresAt }: Life,
  address: string,
): MachineFacts {
  const { database, vsphere } = args;
  const { port, ...guest } = vsphere.guest;
  const host = address === '' ? name : address;
  return {
    name,
    platform: 'vsphere',
    role: 'staging',
    power: 'on',
    guest: { ...guest, endpoint: { kind: 'tcp', host, port } },
    database: {
      engine: database?.engine ?? 'postgres',
      host,
      port: database?.port ?? (database?.engine === 'oracle' ? 1521 : 5432),
      database: database?.name ?? 'postgres',
      user: database?.user ?? 'postgres',
    },
    isolation: 'network',
    createdAt,
    expiresAt,
    systemDisk: vsphere.systemDisk,
    dataDisk: vsphere.dataDisk,
  };
}
