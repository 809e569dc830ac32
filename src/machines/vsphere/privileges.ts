import type { Vim } from './client.ts';
import { child, children, text, type MoRef, type XmlNode } from './soap.ts';

/**
 * The privileges clona needs, by what it does with them (vSphere Security, "Defined privileges").
 * `clone` is what a site gives the credentials of refresh and release, `promotion` those that may touch LIVE.
 */
export const neededPrivileges = {
  clone: [
    'System.Read',
    'VirtualMachine.Provisioning.Clone',
    'VirtualMachine.Inventory.CreateFromExisting',
    'VirtualMachine.Inventory.Delete',
    'VirtualMachine.Config.AddNewDisk',
    'VirtualMachine.Config.EditDevice',
    'VirtualMachine.Config.Settings',
    'VirtualMachine.Config.CPUCount',
    'VirtualMachine.Config.Memory',
    'VirtualMachine.Interact.PowerOn',
    'VirtualMachine.Interact.PowerOff',
    'VirtualMachine.Interact.DeviceConnection',
    'Datastore.AllocateSpace',
    'Network.Assign',
    'Resource.AssignVMToPool',
    'InventoryService.Tagging.AttachTag',
    'Global.SetCustomField',
  ],
  /** Once in a vCenter: its tag and its custom attributes. */
  marks: [
    'InventoryService.Tagging.CreateCategory',
    'InventoryService.Tagging.CreateTag',
    'Global.ManageCustomFields',
  ],
  /** clone: linked. On production. */
  linkedClone: ['VirtualMachine.State.CreateSnapshot', 'VirtualMachine.State.RemoveSnapshot'],
  /** host: a network of its own. On that host. */
  ownNetwork: ['Host.Config.Network'],
  customization: ['VirtualMachine.Provisioning.Customize', 'VirtualMachine.Provisioning.ReadCustSpecs'],
  promotion: [
    'System.Read',
    'VirtualMachine.State.CreateSnapshot',
    'VirtualMachine.State.RevertToSnapshot',
    'VirtualMachine.State.RemoveSnapshot',
    'VirtualMachine.Interact.PowerOn',
    'VirtualMachine.Interact.PowerOff',
  ],
} as const satisfies Record<string, readonly string[]>;

/** The needed privileges that the user lacks on `entity`; empty when nothing is missing. */
export async function missingPrivileges(
  vim: Vim,
  user: string,
  entity: MoRef,
  purpose: keyof typeof neededPrivileges,
  signal: AbortSignal,
): Promise<string[]> {
  const privileges = neededPrivileges[purpose];
  const answer = await vim.call(
    'HasUserPrivilegeOnEntities',
    vim.content.authorizationManager,
    { entities: entity, userName: user, privId: privileges },
    signal,
  );
  const granted = new Set(answer.flatMap(grantedOf));
  return privileges.filter((privilege) => !granted.has(privilege));
}

function grantedOf(entity: XmlNode): string[] {
  return children(entity, 'privAvailability')
    .filter((one) => text(child(one, 'isGranted')) === 'true')
    .map((one) => text(child(one, 'privId')));
}
