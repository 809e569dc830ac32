import { isFault, type Vim } from './client.ts';
import { child, children, moRef, text, type MoRef, type XmlNode } from './soap.ts';

/** Where in vCenter a privilege is needed. */
export type PrivilegedObject =
  | 'vcenter'
  | 'production'
  | 'folder'
  | 'pool'
  | 'datastore'
  | 'network'
  | 'host'
  | 'production datastore';

/** What a site does that not every site does. */
export interface CloneWays {
  linked: boolean;
  /** host: a network of its own. */
  ownNetwork: boolean;
  customization: boolean;
  datastoreCluster: boolean;
  /** The vCenter has clona's tag and attributes already. */
  hasMarks: boolean;
}

export interface PrivilegeRow {
  on: PrivilegedObject;
  privileges: readonly string[];
  /** Absent: always. */
  when?: (ways: CloneWays) => boolean;
}

/**
 * Everything that clona, and the provider for it, is refused without: by the object on which, or above which with
 * propagation, the role is given (vSphere Security, "Required vCenter Server Privileges for Common Tasks"; Terraform
 * provider for vSphere, "Notes on Required Privileges"). `clone` is for the credentials of refresh and release.
 */
export const clonePrivileges: readonly PrivilegeRow[] = [
  { on: 'vcenter', privileges: ['System.View', 'System.Read', 'StorageProfile.View'] },
  {
    on: 'vcenter',
    privileges: [
      'Global.ManageCustomFields',
      'InventoryService.Tagging.CreateCategory',
      'InventoryService.Tagging.CreateTag',
    ],
    when: ({ hasMarks }) => !hasMarks,
  },
  {
    on: 'vcenter',
    privileges: ['VirtualMachine.Provisioning.ReadCustSpecs'],
    when: ({ customization }) => customization,
  },
  { on: 'production', privileges: ['System.Read', 'VirtualMachine.Provisioning.Clone'] },
  {
    on: 'production',
    privileges: ['VirtualMachine.State.CreateSnapshot', 'VirtualMachine.State.RemoveSnapshot'],
    when: ({ linked }) => linked,
  },
  {
    on: 'production',
    privileges: ['VirtualMachine.Provisioning.Customize'],
    when: ({ customization }) => customization,
  },
  { on: 'production datastore', privileges: ['Datastore.AllocateSpace'], when: ({ linked }) => linked },
  {
    on: 'folder',
    privileges: [
      'VirtualMachine.Inventory.CreateFromExisting',
      'VirtualMachine.Inventory.Delete',
      'VirtualMachine.Config.AddNewDisk',
      'VirtualMachine.Config.AddRemoveDevice',
      'VirtualMachine.Config.AdvancedConfig',
      'VirtualMachine.Config.Annotation',
      'VirtualMachine.Config.CPUCount',
      'VirtualMachine.Config.DiskExtend',
      'VirtualMachine.Config.EditDevice',
      'VirtualMachine.Config.Memory',
      'VirtualMachine.Config.RemoveDisk',
      'VirtualMachine.Config.Resource',
      'VirtualMachine.Config.Settings',
      'VirtualMachine.Interact.DeviceConnection',
      'VirtualMachine.Interact.PowerOff',
      'VirtualMachine.Interact.PowerOn',
      // The rollback is rehearsed on staging.
      'VirtualMachine.State.CreateSnapshot',
      'VirtualMachine.State.RemoveSnapshot',
      'VirtualMachine.State.RevertToSnapshot',
      'Global.SetCustomField',
      'InventoryService.Tagging.AttachTag',
    ],
  },
  { on: 'pool', privileges: ['Resource.AssignVMToPool'] },
  {
    on: 'pool',
    privileges: ['Resource.ApplyRecommendation'],
    when: ({ datastoreCluster }) => datastoreCluster,
  },
  { on: 'datastore', privileges: ['Datastore.AllocateSpace'] },
  { on: 'network', privileges: ['Network.Assign'], when: ({ ownNetwork }) => !ownNetwork },
  { on: 'host', privileges: ['Host.Config.Network'], when: ({ ownNetwork }) => ownNetwork },
];

/** For the credentials of promote and rollback: what touches LIVE. */
export const promotionPrivileges: readonly PrivilegeRow[] = [
  { on: 'vcenter', privileges: ['System.View', 'System.Read'] },
  {
    on: 'production',
    privileges: [
      'System.Read',
      'VirtualMachine.Interact.PowerOff',
      'VirtualMachine.Interact.PowerOn',
      'VirtualMachine.State.CreateSnapshot',
      'VirtualMachine.State.RemoveSnapshot',
      'VirtualMachine.State.RevertToSnapshot',
    ],
  },
  { on: 'production datastore', privileges: ['Datastore.AllocateSpace'] },
];

/** Who clones should hold none of these on production: a mistake of a run could then change it. */
export const dangerousPrivileges: readonly string[] = [
  'VirtualMachine.Inventory.Delete',
  'VirtualMachine.Interact.PowerOff',
  'VirtualMachine.Config.EditDevice',
  'VirtualMachine.Config.RemoveDisk',
  'VirtualMachine.State.RevertToSnapshot',
];

/** The objects of one site, each with what to call it. */
export type PrivilegeObjects = Partial<
  Record<PrivilegedObject, readonly { reference: MoRef; name: string }[]>
>;

export interface MissingPrivilege {
  privilege: string;
  on: PrivilegedObject;
  name: string;
}

export interface HeldPrivileges {
  /** Who asked, as vCenter calls the user of the session. */
  user: string;
  on: (reference: MoRef) => ReadonlySet<string>;
}

/** What the session's own user may do on each object, groups included (FetchUserPrivilegeOnEntities). */
export async function readPrivileges(
  vim: Vim,
  objects: PrivilegeObjects,
  signal: AbortSignal,
): Promise<HeldPrivileges> {
  const session = (await vim.read(vim.content.sessionManager, ['currentSession'], signal)).get(
    'currentSession',
  );
  const user = text(child(session, 'userName'));
  const references = new Map(
    Object.values(objects).flatMap((list) => list.map(({ reference }) => [reference.moref, reference])),
  );
  const entities = Array.from(references.values());
  const manager = vim.content.authorizationManager;
  const answer = await vim
    .call('FetchUserPrivilegeOnEntities', manager, { entities, userName: user }, signal)
    .catch(async (error: unknown) => {
      // Some vCenters let nobody ask for users, not even for themselves; what a session may do they do say.
      if (!isFault(error, 'NoPermission') && !isFault(error, 'NotSupported')) throw error;
      const args = { entity: entities, sessionId: text(child(session, 'key')), privId: everyPrivilege() };
      return vim.call('HasPrivilegeOnEntities', manager, args, signal);
    });
  const held = new Map(answer.map((result) => [moRef(child(result, 'entity'))?.moref, privilegesOf(result)]));
  return { user, on: ({ moref }) => held.get(moref) ?? new Set() };
}

/** UserPrivilegeResult names what is held, EntityPrivilege says of each asked one whether it is. */
function privilegesOf(result: XmlNode): Set<string> {
  const granted = children(result, 'privAvailability').filter(
    (one) => text(child(one, 'isGranted')) === 'true',
  );
  return new Set([
    ...children(result, 'privileges').map((privilege) => text(privilege)),
    ...granted.map((one) => text(child(one, 'privId'))),
  ]);
}

function everyPrivilege(): string[] {
  const rows = [...clonePrivileges, ...promotionPrivileges].flatMap(({ privileges }) => privileges);
  return [...new Set([...rows, ...dangerousPrivileges])];
}

/** Needed and not held, one entry each, in the order of the table. */
export function missingPrivileges(
  rows: readonly PrivilegeRow[],
  ways: CloneWays,
  objects: PrivilegeObjects,
  held: Pick<HeldPrivileges, 'on'>,
): MissingPrivilege[] {
  return rows
    .filter(({ when }) => when?.(ways) ?? true)
    .flatMap(({ on, privileges }) =>
      (objects[on] ?? []).flatMap(({ reference, name }) => {
        const granted = held.on(reference);
        return privileges
          .filter((privilege) => !granted.has(privilege))
          .map((privilege) => ({ privilege, on, name }));
      }),
    );
}
