import { createHash } from 'node:crypto';
import { ClonaError } from '../../errors.ts';
import type { Vim } from './client.ts';
import { readReference } from './inventory.ts';
import { child, children, text, type MoRef } from './soap.ts';

/**
 * The switch of a host for staging machines. It has no uplink, so nothing on it reaches another host, or production
 * on a switch of its own. All stacks share it, therefore none owns it.
 */
export const isolatedSwitch = 'clona-isolated';

/** VLAN 0 is none, 4095 would hear all of them. */
const vlans = 4094;

export interface IsolatedSwitch {
  host: MoRef;
  /** Clones of one machine have one address: each port group gets a VLAN of its own. */
  vlan: number;
}

/**
 * Makes the switch where it is missing (HostNetworkSystem.AddVirtualSwitch) and gives a free VLAN on it, for a port
 * group that is there its own. One with an uplink is refused (R21). The provider's own resource for switches is not
 * used: it could not be shared.
 */
export async function ensureIsolatedSwitch(
  vim: Vim,
  host: MoRef,
  portGroup: string,
  create: boolean,
  signal: AbortSignal,
): Promise<IsolatedSwitch> {
  const system = await readReference(vim, host, 'configManager.networkSystem', signal);
  if (system === undefined)
    throw new ClonaError('machineFailed', 'the host does not say how its network is set');
  const info = (await vim.read(system, ['networkInfo'], signal)).get('networkInfo');
  const found = children(info, 'vswitch').find((one) => text(child(one, 'name')) === isolatedSwitch);
  if (found === undefined && create) {
    await vim
      .call('AddVirtualSwitch', system, { vswitchName: isolatedSwitch, spec: { numPorts: 120 } }, signal)
      .catch(ignoreAlreadyThere);
  }
  if (children(found, 'pnic').length > 0) {
    throw new ClonaError('machineFailed', `the switch ${isolatedSwitch} of the host has an uplink`, {
      hint: 'take the physical adapter off it: staging machines are on it because it leads nowhere',
    });
  }
  const groups = children(info, 'portgroup').map((group) => child(group, 'spec'));
  return { host, vlan: chooseVlan(portGroup, groups.filter(isOurs).map(readGroup)) };
}

/**
 * Puts a port group back that a stack made and somebody removed (HostNetworkSystem.AddPortGroup): the provider can
 * neither read nor delete one that is gone, so that the stack could be neither refreshed nor destroyed. There already:
 * nothing happens.
 */
export async function restorePortGroup(
  vim: Vim,
  { name, host, vlan }: { name: string; host: string; vlan: number },
  signal: AbortSignal,
): Promise<'there' | 'restored'> {
  const reference: MoRef = { type: 'HostSystem', moref: host };
  const system = await readReference(vim, reference, 'configManager.networkSystem', signal);
  if (system === undefined)
    throw new ClonaError('machineFailed', 'the host does not say how its network is set');
  const info = (await vim.read(system, ['networkInfo'], signal)).get('networkInfo');
  const names = children(info, 'portgroup').map((group) => text(child(group, 'spec.name')));
  if (names.includes(name)) return 'there';
  await ensureIsolatedSwitch(vim, reference, name, true, signal);
  const portgrp = { name, vlanId: vlan, vswitchName: isolatedSwitch, policy: {} };
  await vim.call('AddPortGroup', system, { portgrp }, signal).catch(ignoreAlreadyThere);
  return 'restored';
}

interface Group {
  name: string;
  vlan: number;
}

const isOurs = (spec: ReturnType<typeof child>): boolean =>
  text(child(spec, 'vswitchName')) === isolatedSwitch;

const readGroup = (spec: ReturnType<typeof child>): Group => ({
  name: text(child(spec, 'name')),
  vlan: Number(text(child(spec, 'vlanId'))),
});

/** The same name asks for the same VLAN, so that two runs at once for two machines seldom meet. */
export function chooseVlan(name: string, groups: readonly Group[]): number {
  const own = groups.find((group) => group.name === name);
  if (own !== undefined) return own.vlan;
  const taken = new Set(groups.map(({ vlan }) => vlan));
  const first = createHash('sha256').update(name).digest().readUInt32BE(0) % vlans;
  for (let offset = 0; offset < vlans; offset += 1) {
    const vlan = ((first + offset) % vlans) + 1;
    if (!taken.has(vlan)) return vlan;
  }
  throw new ClonaError('machineFailed', `the switch ${isolatedSwitch} has no free VLAN`);
}

/** Another run was faster. */
function ignoreAlreadyThere(error: unknown): void {
  if (!(error instanceof ClonaError && error.details?.['fault'] === 'AlreadyExists')) throw error;
}
