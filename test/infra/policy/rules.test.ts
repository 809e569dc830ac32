import { describe, expect, test } from 'vitest';
import { addressOf, uplinksOf } from '../../../infra/policy/look.ts';
import {
  refuseForeign,
  refuseLife,
  refuseLocal,
  refuseMachine,
  refuseNetworks,
  refusePortGroup,
  refuseType,
  type NetworkFacts,
} from '../../../infra/policy/rules.ts';

const network = (facts: Partial<NetworkFacts>): NetworkFacts => ({
  id: 'network-1',
  name: 'nowhere',
  uplinks: [],
  hasProduction: false,
  ...facts,
});

const hostNetworks = {
  vswitch: [
    { name: 'vSwitch0', pnic: 'key-vim.host.PhysicalNic-vmnic0', spec: { bridge: { nicDevice: 'vmnic0' } } },
    { name: 'clona-isolated' },
  ],
  portgroup: [
    { spec: { name: 'VM Network', vswitchName: 'vSwitch0' } },
    { spec: { name: 'clona-staging', vswitchName: 'clona-isolated' } },
    { spec: { name: 'orphaned', vswitchName: 'gone' } },
  ],
};

test.for([
  ['VM Network', ['vmnic0']],
  ['clona-staging', []],
  ['orphaned', null],
  ['elsewhere', null],
] as const)('the uplinks of the port group %s are those of its switch', ([name, uplinks]) => {
  expect(uplinksOf(hostNetworks, name)).toEqual(uplinks);
});

describe('a network of staging', () => {
  test.for<[string, Partial<NetworkFacts>, string[], string | undefined]>([
    ['without an uplink passes', {}, [], undefined],
    ['with an uplink is refused', { uplinks: ['vmnic0'] }, [], 'leads out through vmnic0'],
    ['of which nothing is known is refused', { uplinks: null }, [], 'is not known'],
    ['that is named isolated passes', { uplinks: ['vmnic0'] }, ['nowhere'], undefined],
    ['that is named by its id passes', { uplinks: null }, ['network-1'], undefined],
    [
      "that is production's is refused, named or not",
      { hasProduction: true },
      ['nowhere'],
      "production's own",
    ],
  ])('%s', ([, facts, allowed, reason]) => {
    const reasons = refuseNetworks([network(facts)], allowed);
    if (reason === undefined) expect(reasons).toEqual([]);
    else expect(reasons).toEqual([expect.stringContaining(reason)]);
  });

  test('every one of several is judged', () => {
    expect(refuseNetworks([network({}), network({ name: 'out', uplinks: ['vmnic1'] })], [])).toHaveLength(1);
  });

  test('that is made for it has no adapter of the host', () => {
    expect(refusePortGroup([], [])).toEqual([]);
    expect(refusePortGroup([], ['vmnic1'])).toEqual(['a port group of staging has the uplinks vmnic1']);
  });
});

test.for<[string, Record<string, string>, string | undefined]>([
  [
    'with both marks passes',
    { 'clona.expires': '2026-12-01T00:00:00Z', 'clona.source': '/dc/vm/erp' },
    undefined,
  ],
  ['without an expiry is refused', { 'clona.source': '/dc/vm/erp' }, 'no expiry'],
  ['with an empty expiry is refused', { 'clona.expires': '', 'clona.source': '/dc/vm/erp' }, 'no expiry'],
  ['that expires at no moment is refused', { 'clona.expires': 'never', 'clona.source': 'x' }, 'is no moment'],
  ['that nobody would find is refused', { 'clona.expires': '2026-12-01T00:00:00Z' }, 'clona.source'],
])('a machine %s', ([, marks, reason]) => {
  const reasons = refuseLife(new Map(Object.entries(marks)));
  if (reason === undefined) expect(reasons).toEqual([]);
  else expect(reasons).toEqual([expect.stringContaining(reason)]);
});

test.for([
  ['vsphere:index/virtualMachine:VirtualMachine', true],
  ['vsphere:index/hostPortGroup:HostPortGroup', true],
  ['pulumi:providers:vsphere', true],
  ['aws:s3/bucket:Bucket', true],
  ['vsphere:index/host:Host', false],
  ['vsphere:index/hostVirtualSwitch:HostVirtualSwitch', false],
  ['vsphere:index/distributedVirtualSwitch:DistributedVirtualSwitch', false],
  ['vsphere:index/entityPermissions:EntityPermissions', false],
  ['vsphere:index/vmfsDatastore:VmfsDatastore', false],
] as const)('of vSphere a staging stack holds what is its own: %s, %s', ([type, passes]) => {
  expect(refuseType(type)).toHaveLength(passes ? 0 : 1);
});

test('a machine is made as a clone, with a MAC address of its own', () => {
  expect(refuseMachine('42', false)).toEqual([]);
  expect(refuseMachine(undefined, true)).toEqual([
    expect.stringContaining('not made as a clone'),
    expect.stringContaining('useStaticMac'),
  ]);
});

test('what is changed is a clone, never its source, whatever is written on it', () => {
  expect(refuseForeign(undefined, '42')).toEqual([]);
  expect(refuseForeign({ uuid: '7', name: 'staging', isClone: true }, '42')).toEqual([]);
  expect(refuseForeign({ uuid: '42', name: 'erp', isClone: true }, '42')).toEqual([
    'erp is production itself',
  ]);
  expect(refuseForeign({ uuid: '7', name: 'mail', isClone: false }, '42')).toHaveLength(1);
});

test('the same holds for machines on this host', () => {
  const fine = { name: 'staging', source: 'live', root: '/m', timeToLiveMs: 1 };
  expect(refuseLocal(fine)).toEqual({ isolation: [], life: [], production: [] });
  const wrong = refuseLocal({ name: 'live', source: 'live', root: '/m', isolation: 'configuration' });
  expect(Object.values(wrong).map((reasons) => reasons.length)).toEqual([1, 1, 1]);
  // Another folder holds another machine of the same name.
  expect(refuseLocal({ ...fine, name: 'live', sourceRoot: '/n' }).production).toEqual([]);
});

describe('the vCenter that the policies ask', () => {
  const env = { VSPHERE_SERVER: 'other', VSPHERE_USER: 'somebody', VSPHERE_PASSWORD: 'secret' };

  test("is the provider's, and what it is not told is in the environment", () => {
    const provider = { vsphereServer: 'vcenter', user: 'clona', allowUnverifiedSsl: 'true' };
    expect(addressOf(provider, env)).toEqual({
      server: 'vcenter',
      user: 'clona',
      password: 'secret',
      allowUnverifiedTls: true,
    });
    expect(addressOf({}, env)).toMatchObject({
      server: 'other',
      user: 'somebody',
      allowUnverifiedTls: false,
    });
  });

  test('that cannot be asked refuses everything', () => {
    expect(() => addressOf({ vsphereServer: 'vcenter', user: 'clona' }, {})).toThrow(
      "neither the provider's password nor VSPHERE_PASSWORD is set",
    );
  });
});
