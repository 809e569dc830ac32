import { expect, test } from 'vitest';
import {
  clonePrivileges,
  missingPrivileges,
  promotionPrivileges,
  type CloneWays,
  type PrivilegeObjects,
} from '../../../src/machines/vsphere/privileges.ts';

const usual: CloneWays = {
  linked: false,
  ownNetwork: false,
  customization: false,
  datastoreCluster: false,
  hasMarks: true,
};
const kinds = [
  'vcenter',
  'production',
  'folder',
  'pool',
  'datastore',
  'network',
  'host',
  'production datastore',
];
const objects = Object.fromEntries(
  kinds.map((on) => [on, [{ reference: { type: 'Any', moref: on }, name: on }]]),
) as PrivilegeObjects;

/** "privilege on object" for everything that somebody without any right lacks. */
function needed(rows: typeof clonePrivileges, ways: Partial<CloneWays> = {}): string[] {
  const missing = missingPrivileges(rows, { ...usual, ...ways }, objects, { on: () => new Set() });
  return missing.map(({ privilege, on }) => `${privilege} on ${on}`);
}

test('who clones needs to read production and clone it, and no more there', () => {
  const onProduction = needed(clonePrivileges).filter((one) => one.endsWith(' on production'));
  expect(onProduction).toEqual([
    'System.Read on production',
    'VirtualMachine.Provisioning.Clone on production',
  ]);
});

test.for<[keyof CloneWays, boolean, string]>([
  ['linked', true, 'VirtualMachine.State.CreateSnapshot on production'],
  ['ownNetwork', true, 'Host.Config.Network on host'],
  ['ownNetwork', false, 'Network.Assign on network'],
  ['customization', true, 'VirtualMachine.Provisioning.Customize on production'],
  ['datastoreCluster', true, 'Resource.ApplyRecommendation on pool'],
  ['hasMarks', false, 'Global.ManageCustomFields on vcenter'],
])('with %s %s it needs %s', ([way, value, privilege]) => {
  expect(needed(clonePrivileges, { [way]: value })).toContain(privilege);
  expect(needed(clonePrivileges, { [way]: !value })).not.toContain(privilege);
});

test('who promotes needs snapshots and power of production, and nothing of staging', () => {
  const places = new Set(needed(promotionPrivileges).map((one) => one.split(' on ')[1]));
  expect([...places]).toEqual(['vcenter', 'production', 'production datastore']);
});

test('what is held on one object counts on no other', () => {
  const held = {
    on: ({ moref }: { moref: string }) => new Set(moref === 'pool' ? ['Resource.AssignVMToPool'] : []),
  };
  const missing = missingPrivileges(clonePrivileges, usual, objects, held);
  expect(missing.map(({ privilege }) => privilege)).not.toContain('Resource.AssignVMToPool');
  expect(missing.map(({ privilege }) => privilege)).toContain('Datastore.AllocateSpace');
});
