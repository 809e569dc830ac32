import { ClonaError } from '../../errors.ts';
import { ensureBaseSnapshot, findBase, warnOfBase, type BaseSnapshot } from './base-snapshot.ts';
import { openVim, type Vim, type VimAddress } from './client.ts';
import { requireCustomization } from './customization.ts';
import { planClone, requireClonable, type ClonePlan, type CloneWish } from './clone-plan.ts';
import { readCloneSource, type CloneSource, type SourceCard } from './clone-source.ts';
import {
  findHost,
  findInPath,
  isolatedNetworkName,
  findPlaces,
  machinePath,
  nameOfPath,
  networkPath,
  networkTypes,
  trimPath,
  type FoundPlaces,
  type InventoryPlaces,
} from './inventory.ts';
import { ensureIsolatedSwitch, type IsolatedSwitch } from './isolated-switch.ts';
import { ensureAttributes, readAttributeKeys, readMarks, type Mark } from './marks.ts';
import { ensureStagingTag } from './tag.ts';
import { child, text, type MoRef } from './soap.ts';

export interface CloneRequest {
  address: VimAddress;
  places: InventoryPlaces;
  /** Name of the staging machine. */
  name: string;
  /** Whose staging machine it is. */
  site: string | undefined;
  /** Production: its inventory path, or its name in the datacenter's own folder. */
  source: string;
  wish: CloneWish;
  /** Where its cards go: onto an existing port group, or onto a network that is made for it on a host. */
  network: { portGroup: string } | { host: string };
  /** Name of a customization specification of the vCenter. */
  customization?: string | undefined;
  /** False for a preview: nothing is made, not even what every site shares. */
  mayChange: boolean;
}

export interface PreparedClone {
  source: CloneSource;
  plan: ClonePlan;
  places: FoundPlaces;
  /** The existing port group, or the host on which a network is made. */
  network: { portGroup: MoRef } | IsolatedSwitch;
  tag: string | undefined;
  attributes: Partial<Record<Mark, string>>;
  /** What a linked clone stands on; undefined: it is a full one, or this is a preview. */
  base: BaseSnapshot | undefined;
  warnings: string[];
  /** The clone of this source that is there already; undefined: there is none. */
  existing: ExistingClone | undefined;
}

export interface ExistingClone {
  uuid: string;
  marks: Partial<Record<Mark, string>>;
  /** What somebody changed by hand, which the engine sees only when it reads its state back. */
  drift: string[];
}

/**
 * Everything that is looked up, decided or refused before Pulumi changes anything. A clone that is there already
 * keeps its shape, whatever has become of its source.
 */
export async function prepareClone(request: CloneRequest, signal: AbortSignal): Promise<PreparedClone> {
  const { address, mayChange, places, wish } = request;
  await using vim = await openVim(address, signal);
  const [found, source, network, there, attributes, tag] = await Promise.all([
    findPlaces(vim, places, signal),
    readSource(vim, request, signal),
    findNetwork(vim, request, signal),
    findInPath(vim, machinePath(places, request.name), ['VirtualMachine'], signal),
    mayChange ? ensureAttributes(vim, signal) : readAttributeKeys(vim, signal),
    ensureStagingTag(address, mayChange, signal),
  ]);
  const marks = there === undefined ? undefined : await readMarks(vim, there, attributes, signal);
  if (there !== undefined) requireOwn(request, there, source, marks ?? {});
  const isSame =
    marks !== undefined && marks.source === sourcePath(request) && (marks.base !== undefined) === wish.linked;
  requireElsewhere(source, request, network);
  if (!isSame) {
    requireClonable(source, wish);
    if (request.customization !== undefined)
      await requireCustomization(vim, request.customization, source, signal);
    if (!wish.linked) await requireSpace(vim, source, found, signal);
  }
  const shape = there !== undefined && isSame ? await readCloneSource(vim, there, signal) : source;
  const base = wish.linked ? await findOrMakeBase(vim, source, isSame, mayChange, signal) : undefined;
  const warning = base === undefined ? undefined : warnOfBase(base, source.name, new Date());
  return {
    base,
    warnings: warning === undefined ? [] : [warning],
    source,
    plan: planClone(shape, wish),
    places: found,
    network,
    tag,
    attributes,
    existing: isSame ? { uuid: shape.uuid, marks, drift: findDrift(shape, request, network) } : undefined,
  };
}

/** vCenter would find out when the disk is full, with half a clone on it. */
async function requireSpace(
  vim: Vim,
  source: CloneSource,
  { datastore, datastoreCluster }: FoundPlaces,
  signal: AbortSignal,
): Promise<void> {
  const place = datastore ?? datastoreCluster;
  if (place === undefined) return;
  const summary = (await vim.read(place, ['summary'], signal)).get('summary');
  const said = text(child(summary, 'freeSpace'));
  // A datastore cluster that was never measured has no capacity either.
  const isKnown = said !== '' && Number(text(child(summary, 'capacity'))) > 0;
  const refusal = refuseSpace(text(child(summary, 'name')), isKnown ? Number(said) : undefined, source);
  if (refusal !== undefined) throw refusal;
}

export function refuseSpace(
  datastore: string,
  freeBytes: number | undefined,
  { name, committedBytes }: Pick<CloneSource, 'name' | 'committedBytes'>,
): ClonaError | undefined {
  if (freeBytes === undefined || committedBytes <= freeBytes) return undefined;
  const gib = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  const message = `the datastore ${datastore} has ${gib(freeBytes)} free, a clone of ${name} needs ${gib(committedBytes)}`;
  return new ClonaError('machineFailed', message, {
    hint: 'free space on it, name another one, or make linked clones',
    details: { freeBytes, neededBytes: committedBytes },
  });
}

async function findOrMakeBase(
  vim: Vim,
  source: CloneSource,
  isSame: boolean,
  mayChange: boolean,
  signal: AbortSignal,
): Promise<BaseSnapshot | undefined> {
  if (isSame || !mayChange) return findBase(source.snapshots);
  return ensureBaseSnapshot(vim, source, signal);
}

/** R21: what production is connected to is no isolated network. */
function requireElsewhere(
  source: CloneSource,
  request: CloneRequest,
  network: PreparedClone['network'],
): void {
  if (!source.cards.some((card) => isOn(card, request, network))) return;
  const message = `the port group ${networkName(request)} is production's own: ${source.name} is on it`;
  throw new ClonaError('machineFailed', message, {
    hint: 'a clone needs a network that leads nowhere: name another port group, or a host on which one is made',
  });
}

/** Somebody may have moved the clone onto another network since, also onto one of the same name. */
function findDrift(clone: CloneSource, request: CloneRequest, network: PreparedClone['network']): string[] {
  const isThere = (card: SourceCard): boolean =>
    'portGroup' in network
      ? (card.reference ?? card.network) === network.portGroup.moref
      : isOn(card, request, network);
  return clone.cards.filter((card) => !isThere(card)).map((card) => `a card is on ${card.network}`);
}

function isOn(card: SourceCard, request: CloneRequest, network: PreparedClone['network']): boolean {
  if ('portGroup' in network && (card.reference ?? card.network) === network.portGroup.moref) return true;
  return card.network === networkName(request);
}

function networkName({ network, name }: CloneRequest): string {
  return 'host' in network ? isolatedNetworkName(name) : nameOfPath(network.portGroup);
}

/** A machine of that name which is not ours is never taken over. */
function requireOwn(
  { name, places, site }: CloneRequest,
  there: MoRef,
  source: CloneSource,
  marks: Partial<Record<Mark, string>>,
): void {
  const hint = `give the staging machine another name than ${name}, or another folder`;
  if (there.moref === source.reference.moref) {
    throw new ClonaError('machineFailed', `${name} is the production machine itself`, { hint });
  }
  const path = machinePath(places, name);
  if (marks.source === undefined) {
    const message = `there is a machine ${path} already, and clona did not make it`;
    throw new ClonaError('machineFailed', message, { hint, details: { path } });
  }
  if (marks.site !== site) {
    const message = `there is a machine ${path} already, it belongs to the site ${marks.site ?? 'of no name'}`;
    throw new ClonaError('machineFailed', message, { hint, details: { path } });
  }
}

async function readSource(vim: Vim, request: CloneRequest, signal: AbortSignal): Promise<CloneSource> {
  const path = sourcePath(request);
  const reference = await findInPath(vim, path, ['VirtualMachine'], signal);
  if (reference === undefined) {
    throw new ClonaError('machineFailed', `there is no virtual machine ${path}`, {
      hint: 'give production as vCenter shows it: a name, or the inventory path "/datacenter/vm/folder/name"; a / % or \\ that is in a name itself is written %2f, %25, %5c',
    });
  }
  return readCloneSource(vim, reference, signal);
}

/** `name`, `folder/name` or the whole inventory path. */
export function sourcePath({ source, places }: Pick<CloneRequest, 'source' | 'places'>): string {
  return source.startsWith('/') ? source : `/${trimPath(places.datacenter)}/vm/${trimPath(source)}`;
}

async function findNetwork(
  vim: Vim,
  { name, network, places, mayChange }: CloneRequest,
  signal: AbortSignal,
): Promise<PreparedClone['network']> {
  if ('host' in network) {
    const host = await findHost(vim, places.datacenter, network.host, signal);
    return ensureIsolatedSwitch(vim, host, isolatedNetworkName(name), mayChange, signal);
  }
  const path = networkPath(places, network.portGroup);
  const found = await findInPath(vim, path, networkTypes, signal);
  if (found !== undefined) return { portGroup: found };
  throw new ClonaError('machineFailed', `there is no port group ${path}`, {
    hint: 'name an existing port group that leads nowhere, or give a host on which one is made',
  });
}
