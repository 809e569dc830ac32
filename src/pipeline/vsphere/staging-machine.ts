import type { MachineFacts } from '../../machines/machines.ts';
import { createStagingInTurn, destroyStagingInTurn } from '../../machines/pulumi/many.ts';
import type { StagingOptions } from '../../machines/pulumi/staging-options.ts';
import { openVim } from '../../machines/vsphere/client.ts';
import { machinePath, nameOfPath } from '../../machines/vsphere/inventory.ts';
import { createVsphereMachines, waitForAddress } from '../../machines/vsphere/machines.ts';
import type { Site } from '../../site/site.ts';
import {
  inventoryPlaces,
  resolveVimAddress,
  vsphereMachine,
  vsphereSettings,
  vsphereStagingArgs,
  type DatabaseName,
} from './site-settings.ts';

/** A guest that boots, checks its disks and starts VMware Tools takes minutes. */
const guestLimitMs = 15 * 60_000;

/**
 * A clone of production as code, in its turn, and then with an address: what the provider's own waiters would end
 * with an error is waited for here. Made before by a step that was killed: it is the same machine.
 */
export async function makeVsphereStaging(
  site: Site,
  options: StagingOptions,
  database: DatabaseName,
  labels: Readonly<Record<string, string>> = {},
  limitMs: number = guestLimitMs,
): Promise<MachineFacts> {
  const { name, signal, onProgress } = options;
  const args = await vsphereStagingArgs(site, name, database, labels);
  // The policies ask vCenter for names.
  const isolatedNetworks = vsphereMachine(site, name, database).isolatedNetworks.map(nameOfPath);
  await createStagingInTurn({ options: { ...options, policies: { isolatedNetworks } }, args });
  await using vim = await openVim(await resolveVimAddress(site, 'clone'), signal);
  const path = machinePath(inventoryPlaces(vsphereSettings(site)), name);
  const machines = createVsphereMachines(vim, (one) => vsphereMachine(site, one, database), onProgress);
  await machines.powerOn(name, signal);
  await waitForAddress(vim, path, limitMs, signal, onProgress);
  return await machines.describe(name, signal);
}

/** Gone already: nothing happens. The last linked clone takes the base snapshot with it. */
export async function removeVsphereStaging(
  site: Site,
  options: StagingOptions,
  database: DatabaseName,
): Promise<void> {
  await destroyStagingInTurn({ options, args: await vsphereStagingArgs(site, options.name, database) });
}
