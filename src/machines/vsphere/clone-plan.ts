import { ClonaError } from '../../errors.ts';
import type { CloneSource, ControllerKind, SourceController, SourceDisk } from './clone-source.ts';

/** Name of the snapshot on the source that every linked clone shares; any other hinders linked clones. */
export const baseSnapshotName = 'clona-base';

export interface CloneWish {
  linked: boolean;
  /** The clone's own size; default: as its source. */
  cpus?: number | undefined;
  memoryMb?: number | undefined;
  /** Size of its last disk, at least the source's. */
  dataDiskGib?: number | undefined;
}

/** The shape of a clone in the words of the provider (vsphere:index/virtualMachine:VirtualMachine). */
export interface ClonePlan {
  cpus: number;
  coresPerSocket: number;
  memoryMb: number;
  disks: PlannedDisk[];
  scsiType: string | undefined;
  controllers: Record<ControllerKind, number>;
  adapterTypes: string[];
}

export interface PlannedDisk {
  label: string;
  sizeGib: number;
  controllerType: ControllerKind;
  /** As the provider counts: over all controllers of a kind (findControllerInfo of the Terraform provider). */
  unitNumber: number;
  thin: boolean;
  eagerZeroed: boolean;
}

/** Why a machine cannot be cloned so: every reason. Nothing was changed when there is one. */
export function refuseClone(source: CloneSource, wish: CloneWish): string[] {
  return [
    ...refuseDisks(source, wish),
    ...refuseControllers(source),
    ...(wish.linked ? refuseLinked(source) : []),
    ...refuseCards(source),
    ...refuseSize(source, wish),
  ];
}

/** The shape of a clone: that of its source, and what is wished otherwise. Ask `refuseClone` first. */
export function planClone(source: CloneSource, wish: CloneWish): ClonePlan {
  const disks = source.disks
    .map((disk) => ({ disk, place: placeOf(source, disk) }))
    .toSorted((left, right) => (left.place?.number ?? 0) - (right.place?.number ?? 0))
    .map(({ disk, place }, index): PlannedDisk => ({
      label: `disk${index}`,
      sizeGib: disk.sizeGib,
      controllerType: place?.kind ?? 'scsi',
      unitNumber: place?.number ?? 0,
      // A full clone may as well be thin; a linked one has to be as its source.
      thin: wish.linked ? disk.thin : true,
      eagerZeroed: wish.linked && disk.eagerZeroed,
    }));
  const last = disks.at(-1);
  if (last !== undefined && wish.dataDiskGib !== undefined) last.sizeGib = wish.dataDiskGib;
  const cpus = wish.cpus ?? source.cpus;
  return {
    cpus,
    coresPerSocket: cpus % source.coresPerSocket === 0 ? source.coresPerSocket : 1,
    memoryMb: wish.memoryMb ?? source.memoryMb,
    disks,
    scsiType: scsiTypes[usedControllers(source, 'scsi')[0]?.type ?? ''],
    controllers: {
      scsi: countControllers(source, 'scsi'),
      sata: countControllers(source, 'sata'),
      ide: countControllers(source, 'ide'),
      nvme: countControllers(source, 'nvme'),
    },
    adapterTypes: source.cards.map(({ type }) => adapterTypes[type] ?? 'vmxnet3'),
  };
}

/** Throws with the first reason of `refuseClone` and all of them in `details`. */
export function requireClonable(source: CloneSource, wish: CloneWish): void {
  const refusals = refuseClone(source, wish);
  const [first] = refusals;
  if (first === undefined) return;
  const more = refusals.length > 1 ? ` (and ${refusals.length - 1} more)` : '';
  throw new ClonaError('machineFailed', `${source.name} cannot be cloned: ${first}${more}`, {
    hint: 'nothing was changed; --json names every reason',
    details: { refusals },
  });
}

/** The provider's words for controllers and cards (SCSIBusTypeAllowedValues, networkInterfaceSubresourceType…). */
const scsiTypes: Readonly<Record<string, string>> = {
  ParaVirtualSCSIController: 'pvscsi',
  VirtualLsiLogicController: 'lsilogic',
  VirtualLsiLogicSASController: 'lsilogic-sas',
};
const adapterTypes: Readonly<Record<string, string>> = {
  VirtualE1000: 'e1000',
  VirtualE1000e: 'e1000e',
  VirtualVmxnet3: 'vmxnet3',
  VirtualVmxnet3Vrdma: 'vmxnet3vrdma',
  // Cards of the past, which the provider does not make: whatever drives them drives this one.
  VirtualPCNet32: 'e1000',
  VirtualVmxnet: 'e1000',
  VirtualVmxnet2: 'e1000',
};

/** Disks a controller holds in the provider's count, and how many controllers it manages of a kind. */
const perController = { scsi: 15, sata: 30, ide: 2, nvme: 64 } as const satisfies Record<
  ControllerKind,
  number
>;
const mostControllers = { scsi: 4, sata: 4, ide: 2, nvme: 4 } as const satisfies Record<
  ControllerKind,
  number
>;
/** A SCSI controller sits on its own bus at unit 7, which the provider's count leaves out. */
const scsiOwnUnit = 7;

interface Place {
  kind: ControllerKind;
  number: number;
}

function placeOf(source: CloneSource, disk: SourceDisk): Place | undefined {
  const controller = controllerOf(source, disk);
  if (controller?.kind === undefined) return undefined;
  const unit = controller.kind === 'scsi' && disk.unit > scsiOwnUnit ? disk.unit - 1 : disk.unit;
  return { kind: controller.kind, number: controller.bus * perController[controller.kind] + unit };
}

function controllerOf(source: CloneSource, disk: SourceDisk): SourceController | undefined {
  return source.controllers.find(({ key }) => key === disk.controllerKey);
}

function usedControllers(source: CloneSource, kind: ControllerKind): SourceController[] {
  const used = new Set(source.disks.map(({ controllerKey }) => controllerKey));
  return source.controllers.filter((controller) => controller.kind === kind && used.has(controller.key));
}

/** The provider manages the buses 0 to n-1 of a kind. It always wants one of SCSI's and two of IDE's there are. */
function countControllers(source: CloneSource, kind: ControllerKind): number {
  const highest = Math.max(-1, ...usedControllers(source, kind).map(({ bus }) => bus));
  return kind === 'ide' ? Math.max(2, highest + 1) : kind === 'scsi' ? Math.max(1, highest + 1) : highest + 1;
}

function refuseDisks(source: CloneSource, { linked }: CloneWish): string[] {
  if (source.disks.length === 0) return ['it has no disk'];
  const refusals = source.disks.flatMap((disk) => {
    const controller = controllerOf(source, disk);
    const where = `${disk.label} on ${controller?.type ?? 'an unknown controller'}`;
    const reasons: string[] = [];
    if (controller?.kind === undefined)
      reasons.push(`${where}: the provider cannot clone disks of this controller`);
    if (/RawDiskMapping/.test(disk.backing))
      reasons.push(`${disk.label} is a raw device mapping, which a clone would share`);
    else if (!/^VirtualDisk(?:Flat|Sparse)Ver2BackingInfo$/.test(disk.backing)) {
      reasons.push(`${disk.label} has the backing ${disk.backing}, which the provider cannot clone`);
    }
    if (disk.sharing === 'sharingMultiWriter')
      reasons.push(`${disk.label} is shared by several machines (multi-writer)`);
    // A running machine is cloned from a snapshot that vCenter takes, and no snapshot holds such a disk.
    if (disk.mode.startsWith('independent') && (linked || source.power !== 'off')) {
      reasons.push(
        `${disk.label} is ${disk.mode.replace('_', ' ')}: no snapshot of a running machine holds it`,
      );
    }
    const place = placeOf(source, disk);
    if (place?.kind === 'ide' && place.number === 0) {
      reasons.push(`${where} 0:0: the provider keeps that place for a CD-ROM`);
    }
    return reasons;
  });
  return [...refusals, ...refuseOrder(source)];
}

/**
 * The provider pairs the source's disks, sorted by bus and unit, with ours, sorted by number. With controllers of
 * different kinds these orders can differ, and then it would take one disk for another.
 */
function refuseOrder(source: CloneSource): string[] {
  const placed = source.disks.map((disk) => ({
    disk,
    bus: controllerOf(source, disk)?.bus ?? 0,
    number: placeOf(source, disk)?.number ?? 0,
  }));
  const theirs = placed.toSorted((left, right) => left.bus - right.bus || left.disk.unit - right.disk.unit);
  const ours = placed.toSorted((left, right) => left.number - right.number);
  return theirs.every((entry, index) => entry === ours[index])
    ? []
    : ['the provider would confuse its disks on controllers of different kinds'];
}

function refuseControllers(source: CloneSource): string[] {
  const refusals: string[] = [];
  for (const kind of ['scsi', 'sata', 'ide', 'nvme'] as const) {
    const used = usedControllers(source, kind);
    const tooHigh = used.filter(({ bus }) => bus >= mostControllers[kind]);
    for (const { type, bus } of tooHigh)
      refusals.push(`${type} ${bus}: the provider manages only ${mostControllers[kind]} of its kind`);
    for (const { type, bus, busSharing } of used) {
      if (busSharing !== '' && busSharing !== 'noSharing')
        refusals.push(`${type} ${bus} shares its bus (${busSharing})`);
    }
  }
  const scsi = new Set(usedControllers(source, 'scsi').map(({ type }) => type));
  if (scsi.size > 1)
    refusals.push(
      `it has SCSI controllers of different types (${[...scsi].join(', ')}), the provider makes them all one`,
    );
  for (const type of scsi) {
    if (scsiTypes[type] === undefined) refusals.push(`the provider cannot clone disks of ${type}`);
  }
  return refusals;
}

function refuseCards({ cards, passthrough, power }: CloneSource): string[] {
  if (cards.length === 0) return ['it has no network card, the provider makes no machine without one'];
  const direct = cards.filter(({ type }) => type === 'VirtualSriovEthernetCard');
  return [
    // It ends the provider itself, in the middle of a clone (4.17, a nil pointer).
    ...direct.map(
      ({ network }) => `its card on ${network} is an SR-IOV one, which the provider cannot clone`,
    ),
    ...(power === 'off'
      ? []
      : passthrough.map(
          (label) => `${label} is handed through from its host: it cannot be cloned while it runs`,
        )),
  ];
}

/** R21's other half: a linked clone hangs on the one snapshot that all of them share. */
function refuseLinked(source: CloneSource): string[] {
  const foreign = source.snapshots.filter(({ name }) => name !== baseSnapshotName);
  if (foreign.length === 0) return [];
  return [
    `a linked clone needs "${baseSnapshotName}" to be its only snapshot, it also has ${foreign.map(({ name }) => `"${name}"`).join(', ')}`,
  ];
}

function refuseSize(source: CloneSource, { dataDiskGib, linked }: CloneWish): string[] {
  const last = source.disks.at(-1);
  if (dataDiskGib === undefined || last === undefined) return [];
  if (dataDiskGib < last.sizeGib)
    return [`its last disk has ${last.sizeGib} GiB, a clone cannot have ${dataDiskGib}`];
  if (linked && dataDiskGib !== last.sizeGib)
    return ['a linked clone has disks of exactly the size of its source'];
  return [];
}
