import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSite } from '../../src/site/load.ts';
import type { Site } from '../../src/site/site.ts';
import type { Vcsim } from './vcsim.ts';

/** Production in the simulator's own inventory. */
export const liveName = 'DC0_H0_VM0';

/**
 * The simulator leaves out what a real vCenter says of every machine: the swap policy, and which hardware version it
 * could be brought to (asked for version 0 the provider does not ask).
 */
export function completeLive(vcsim: Pick<Vcsim, 'govc'>, name: string = liveName): void {
  vcsim.govc('vm.change', '-vm', name, '-e', 'SET.config.version=vmx-0');
  vcsim.govc('vm.change', '-vm', name, '-e', 'SET.config.swapPlacement=inherit');
}

/** A site file in `folder` for a simulated vCenter; `more` is added to machines.vsphere, one line each. */
export async function writeVsphereSite(
  folder: string,
  vcsim: Pick<Vcsim, 'server' | 'user' | 'password'>,
  more: readonly string[] = [],
  guest: { hostKey?: string; port?: number } = {},
  live: string = liveName,
): Promise<Site> {
  writeFileSync(join(folder, 'vcenter-password'), `${vcsim.password}\n`, { mode: 0o600 });
  const given = (key: string): boolean => more.some((line) => line.startsWith(`${key}:`));
  const lines = [
    `server: ${vcsim.server}`,
    `user: ${vcsim.user}`,
    'password: file:vcenter-password',
    'allowUnverifiedTls: true',
    'datacenter: DC0',
    'cluster: DC0_H0',
    ...(given('datastore') || given('datastoreCluster') ? [] : ['datastore: LocalDS_0']),
    ...(given('isolatedPortGroup') || given('host') ? [] : ['isolatedPortGroup: VM Network']),
    ...more,
  ];
  const text = [
    'name: erp',
    'machines:',
    '  platform: vsphere',
    `  live: { name: ${live} }`,
    '  vsphere:',
    ...lines.map((line) => `    ${line}`),
    'guest:',
    '  user: erp',
    '  privateKey: file:guest-key',
    `  hostKey: ${guest.hostKey ?? `SHA256:${'a'.repeat(43)}`}`,
    `  port: ${guest.port ?? 22}`,
    'archive: { location: archive }',
  ].join('\n');
  const path = join(folder, 'clona.yaml');
  writeFileSync(path, text);
  return loadSite(path);
}
