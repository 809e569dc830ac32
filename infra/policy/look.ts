import { readFileSync } from 'node:fs';
import { openVim, type Vim, type VimAddress } from '../../src/machines/vsphere/client.ts';
import { readCloneSource } from '../../src/machines/vsphere/clone-source.ts';
import { readReference } from '../../src/machines/vsphere/inventory.ts';
import { attributeNames, readAttributeKeys, readMarks } from '../../src/machines/vsphere/marks.ts';
import { child, children, moRef, text, type MoRef, type XmlNode } from '../../src/machines/vsphere/soap.ts';
import type { NetworkFacts, OwnedMachine } from './rules.ts';

/** Longest time for one look. */
const lookLimitMs = 120_000;

/** The vCenter as the provider of a resource is told it; what it is not told it takes from its environment. */
export function addressOf(
  provider: Readonly<Record<string, string | boolean | undefined>>,
  env: Readonly<Record<string, string | undefined>>,
): VimAddress {
  const get = (key: string, variable: string): string => {
    const value = provider[key] ?? env[variable];
    if (typeof value === 'string' && value !== '') return value;
    throw new Error(`the policies cannot ask vCenter: neither the provider's ${key} nor ${variable} is set`);
  };
  const authority = env['SSL_CERT_FILE'];
  return {
    server: get('vsphereServer', 'VSPHERE_SERVER'),
    user: get('user', 'VSPHERE_USER'),
    password: get('password', 'VSPHERE_PASSWORD'),
    allowUnverifiedTls: `${provider['allowUnverifiedSsl'] ?? env['VSPHERE_ALLOW_UNVERIFIED_SSL']}` === 'true',
    ...(authority === undefined ? {} : { authority: readFileSync(authority, 'utf8') }),
  };
}

/** Names of clona's attributes by the keys that resources carry; empty on a vCenter that never saw a clone. */
export async function readAttributeNames(address: VimAddress): Promise<Map<string, string>> {
  return asking(address, async (vim, signal) => {
    const keys = await readAttributeKeys(vim, signal);
    return new Map(
      Object.entries(keys).map(([mark, key]) => [key, attributeNames[mark as keyof typeof attributeNames]]), // its own keys
    );
  });
}

/** The machine with that UUID; undefined: there is none. */
export async function readMachine(address: VimAddress, uuid: string): Promise<OwnedMachine | undefined> {
  return asking(address, async (vim, signal) => {
    const reference = await findByUuid(vim, uuid, signal);
    if (reference === undefined) return undefined;
    const keys = await readAttributeKeys(vim, signal);
    const [name, marks] = await Promise.all([
      vim.read(reference, ['name'], signal),
      readMarks(vim, reference, keys, signal),
    ]);
    return { uuid, name: text(name.get('name')), isClone: marks.source !== undefined };
  });
}

/**
 * What the networks of a clone are, and whether production, the machine it is cloned from, is on them. `made`: ids of
 * the hosts of port groups that this stack makes, by name; vCenter may not have heard of them yet.
 */
export async function readNetworks(
  address: VimAddress,
  ids: readonly string[],
  templateUuid: string,
  made: ReadonlyMap<string, string>,
): Promise<NetworkFacts[]> {
  return asking(address, async (vim, signal) => {
    const source = await findByUuid(vim, templateUuid, signal);
    if (source === undefined) throw new Error(`vCenter has no machine ${templateUuid} to clone`);
    const { cards } = await readCloneSource(vim, source, signal);
    const used = new Set(cards.flatMap(({ network, reference }) => [network, reference ?? network]));
    return Promise.all(
      ids.map(async (id) => {
        const network = networkOf(id);
        const name = text((await vim.read(network, ['name'], signal)).get('name'));
        const uplinks = await readUplinks(vim, network, name, made.get(name), signal);
        return { id, name, uplinks, hasProduction: used.has(id) || used.has(name) };
      }),
    );
  });
}

async function asking<Result>(
  address: VimAddress,
  ask: (vim: Vim, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const signal = AbortSignal.timeout(lookLimitMs);
  await using vim = await openVim(address, signal);
  return await ask(vim, signal);
}

async function findByUuid(vim: Vim, uuid: string, signal: AbortSignal): Promise<MoRef | undefined> {
  const [found] = await vim.call('FindByUuid', vim.content.searchIndex, { uuid, vmSearch: true }, signal);
  return moRef(found);
}

/** The provider names networks by the id of the managed object, whose type the API wants to hear, too. */
function networkOf(id: string): MoRef {
  if (id.startsWith('dvportgroup-')) return { type: 'DistributedVirtualPortgroup', moref: id };
  return { type: id.startsWith('network-o') ? 'OpaqueNetwork' : 'Network', moref: id };
}

/** Physical adapters of the switches that carry a standard port group; null where the API does not say. */
async function readUplinks(
  vim: Vim,
  network: MoRef,
  name: string,
  madeOn: string | undefined,
  signal: AbortSignal,
): Promise<string[] | null> {
  if (network.type !== 'Network') return null;
  const listed = children((await vim.read(network, ['host'], signal)).get('host'), 'ManagedObjectReference');
  const hosts = listed.flatMap((node) => moRef(node) ?? []);
  if (madeOn !== undefined) hosts.push({ type: 'HostSystem', moref: madeOn });
  const uplinks: string[] = [];
  for (const host of hosts) {
    const system = await readReference(vim, host, 'configManager.networkSystem', signal);
    if (system === undefined) return null;
    const info = (await vim.read(system, ['networkInfo'], signal)).get('networkInfo');
    const found = uplinksOf(info, name);
    if (found === null) return null;
    uplinks.push(...found);
  }
  return hosts.length === 0 ? null : [...new Set(uplinks)];
}

/** Adapters of the standard switch that carries a port group (HostNetworkInfo); null: no switch does. */
export function uplinksOf(info: XmlNode | undefined, portGroup: string): string[] | null {
  const group = children(info, 'portgroup').find((one) => text(child(one, 'spec.name')) === portGroup);
  const switchName = text(child(group, 'spec.vswitchName'));
  const carrier = children(info, 'vswitch').find((one) => text(child(one, 'name')) === switchName);
  if (carrier === undefined) return null;
  const adapters = [...children(carrier, 'pnic'), ...children(child(carrier, 'spec.bridge'), 'nicDevice')];
  return [...new Set(adapters.map((nic) => text(nic).replace(/^key-vim\.host\.PhysicalNic-/, '')))];
}
