/** The rules as pure functions of what a resource asks for and what vCenter says; each gives its reasons. */

/** A network as vCenter shows it. */
export interface NetworkFacts {
  id: string;
  name: string;
  /** Physical adapters through which it leaves its hosts; null: vCenter does not say. */
  uplinks: readonly string[] | null;
  /** Machines on it that are the source of the clone. */
  hasProduction: boolean;
}

/** What a staging stack may hold of vSphere. Everything else belongs to others, production among them. */
const stagingTypes: readonly string[] = [
  'vsphere:index/virtualMachine:VirtualMachine',
  'vsphere:index/virtualMachineSnapshot:VirtualMachineSnapshot',
  'vsphere:index/hostPortGroup:HostPortGroup',
  'vsphere:index/folder:Folder',
  'vsphere:index/tag:Tag',
  'vsphere:index/tagCategory:TagCategory',
  'vsphere:index/customAttribute:CustomAttribute',
];

/** R21: nothing but staging machines and what only they use. */
export function refuseType(type: string): string[] {
  if (!type.startsWith('vsphere:') || stagingTypes.includes(type)) return [];
  return [`${type} is no resource of a staging stack: it would change what production uses, too`];
}

/** R21: a clone is on networks that lead nowhere, and never where production is. `allowed`: names or ids. */
export function refuseNetworks(networks: readonly NetworkFacts[], allowed: readonly string[]): string[] {
  return networks.flatMap(({ id, name, uplinks, hasProduction }) => {
    if (hasProduction) return [`the network ${name} is production's own`];
    if (allowed.includes(name) || allowed.includes(id)) return [];
    if (uplinks === null)
      return [`whether the network ${name} leads anywhere is not known: name it isolated`];
    return uplinks.length === 0
      ? []
      : [`the network ${name} leads out through ${uplinks.join(', ')}, and nobody named it isolated`];
  });
}

/** R21: a port group that is made for staging has no way out of its own either. */
export function refusePortGroup(activeNics: readonly string[], standbyNics: readonly string[]): string[] {
  const nics = [...activeNics, ...standbyNics];
  return nics.length === 0 ? [] : [`a port group of staging has the uplinks ${nics.join(', ')}`];
}

/** A machine that nobody would find, or that never ends, stays for ever. `attributes`: its marks by name. */
export function refuseLife(attributes: ReadonlyMap<string, string>): string[] {
  const expires = attributes.get('clona.expires');
  if (expires === undefined || expires === '') {
    return ['it has no expiry (clona.expires): set timeToLive or expiresAt'];
  }
  if (Number.isNaN(Date.parse(expires))) return [`its expiry ${expires} is no moment`];
  const isMarked = (attributes.get('clona.source') ?? '') !== '';
  return isMarked
    ? []
    : ['it does not say what it is a clone of (clona.source): nobody would find it to destroy it'];
}

/** Whose machine the UUID of a resource names. */
export interface OwnedMachine {
  uuid: string;
  name: string;
  /** clona made it: it carries the mark of its source. */
  isClone: boolean;
}

/** A staging stack makes clones and takes over nothing that is there. */
export function refuseMachine(templateUuid: string | undefined, useStaticMac: boolean): string[] {
  return [
    ...(templateUuid === undefined || templateUuid === ''
      ? ['it is not made as a clone: a machine that is there already is never taken into a staging stack']
      : []),
    ...(useStaticMac ? ['it has a MAC address that is not its own (useStaticMac)'] : []),
  ];
}

/** Whatever a resource changes, snapshots or holds has to be a clone. */
export function refuseForeign(machine: OwnedMachine | undefined, templateUuid?: string): string[] {
  if (machine === undefined) return [];
  if (machine.uuid === templateUuid) return [`${machine.name} is production itself`];
  return machine.isClone ? [] : [`${machine.name} is no clone that clona made: production is never changed`];
}

/** The same for machines on this host (clona-local). */
export function refuseLocal(machine: {
  name?: unknown;
  source?: unknown;
  root?: unknown;
  sourceRoot?: unknown;
  isolation?: unknown;
  expiresAt?: unknown;
  timeToLiveMs?: unknown;
}): { isolation: string[]; life: string[]; production: string[] } {
  const isSamePlace = (machine.sourceRoot ?? machine.root) === machine.root;
  return {
    isolation:
      machine.isolation === 'configuration'
        ? ['it is isolated by configuration only, not by its network']
        : [],
    life:
      machine.expiresAt === undefined && machine.timeToLiveMs === undefined
        ? ['it has no expiry: set timeToLive or expiresAt']
        : [],
    production:
      isSamePlace && machine.name === machine.source ? [`${String(machine.name)} is production itself`] : [],
  };
}
