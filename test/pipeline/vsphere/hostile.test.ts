import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Operations, Step } from '../../../src/pipeline/operations.ts';
import { createStep } from '../../../src/pipeline/step.ts';
import {
  createVsphereWorld,
  openVsphereContext,
  whyNoVsphereWorld,
  type OpenedContext,
  type VsphereWorld,
} from '../../support/vsphere-world.ts';

const missing = await whyNoVsphereWorld();
const live = 'DC0_H0_VM0';

describe.skipIf(missing !== undefined)(
  `clones on vSphere, and what may go wrong with them${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 240_000 },
  () => {
    let world: VsphereWorld;
    let opened: OpenedContext;
    let operations: Operations;
    /** Of this try alone: a repeated test finds nothing of the first one. */
    let name: string;
    let tries = 0;

    beforeAll(async () => {
      world = await createVsphereWorld('', { bootTimeout: '3s' });
      opened = await openVsphereContext(world);
      ({ operations } = opened.context);
    });
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]();
      await world?.[Symbol.asyncDispose]();
    });
    beforeEach(() => {
      tries += 1;
      name = `staging-${tries}`;
      Object.assign(world.vsphere.settings, {
        tellsAddress: () => true,
        address: (_vm: string, real: string) => real,
        renewsHostKey: false,
        director: undefined,
        network: 'reachable',
      });
    });

    const step = (key: string): Step =>
      createStep(opened.context, 'test', `${name}/${key}`, new AbortController().signal);
    const orders = async (): Promise<unknown> => {
      await using session = await world.session();
      return (await session.query('select count(*)::int as n from orders'))[0]!['n'];
    };

    test('a linked clone that only a jump host can see is reached through it, its database too', async () => {
      await using jumped = await createVsphereWorld('', { jumpHost: true, clone: 'linked' });
      await using inside = await openVsphereContext(jumped);
      const { operations: through } = inside.context;
      await through.createStaging(step('create'), name);
      expect(await through.observe(step('observe'), name)).toMatchObject({
        counts: { 'orders.n': '1000' },
        programVersion: '1.0',
      });
    });

    test('a clone that never tells an address is named, and taken away', async () => {
      world.vsphere.settings.tellsAddress = (vm) => vm === live;
      await expect(operations.createStaging(step('create'), name)).rejects.toMatchObject({
        kind: 'machineFailed',
        message: `/DC0/vm/${name} reported no address within 3 s`,
      });
      await operations.destroyStaging(step('destroy'), name);
      expect(await world.vsphere.govc('find', '/', '-type', 'm', '-name', name)).toBe('');
    });

    test('a clone with a host key that nobody told of is not entered', async () => {
      world.vsphere.settings.renewsHostKey = true;
      await expect(operations.createStaging(step('create'), name)).rejects.toMatchObject({
        kind: 'hostKeyChanged',
      });
    });

    test('a clone whose address leads to production is not worked on: production stays as it is', async () => {
      const production = world.live.guest.endpoint;
      world.vsphere.settings.address = (_vm, real) => (production.kind === 'tcp' ? production.host : real);
      await expect(operations.createStaging(step('create'), name)).rejects.toMatchObject({
        kind: 'guestFailed',
        message: `whoever answers at the address of ${name} is another machine`,
      });
      expect(await orders()).toBe(1000);
    });

    test('a clone that reaches production gets nothing restored', async () => {
      world.vsphere.settings.network = 'open';
      await expect(operations.createStaging(step('create'), name)).rejects.toMatchObject({
        kind: 'fenceFailed',
        details: { holes: expect.arrayContaining([expect.stringContaining("LIVE's guest at 127.")]) },
      });
    });

    test('a clone deleted by hand is named, and made again', async () => {
      await operations.createStaging(step('create'), name);
      await world.vsphere.govc('vm.destroy', name);
      await expect(operations.observe(step('observe'), name)).rejects.toMatchObject({
        kind: 'machineFailed',
        message: `there is no virtual machine /DC0/vm/${name}`,
      });
      await operations.destroyStaging(step('destroy'), name);
      expect(await operations.createStaging(step('again'), name)).toMatchObject({ isolation: 'network' });
      await operations.destroyStaging(step('destroy again'), name);
    });

    test('a snapshot removed by hand is named by who wants to go back to it', async () => {
      await operations.snapshot(step('snapshot'), 'live', name);
      await world.vsphere.govc('snapshot.remove', '-vm', live, name);
      await expect(operations.revert(step('revert'), 'live', name)).rejects.toMatchObject({
        kind: 'machineFailed',
        message: `${live} has no snapshot ${name}`,
      });
      expect(await orders()).toBe(1000);
    });

    test('who may not change LIVE does not: he is named before it is closed, and its VM stays as it is', async () => {
      const role = (how: '-r' | '-a') =>
        world.vsphere.arrange('role.update', how, 'Admin', 'VirtualMachine.State.RevertToSnapshot');
      role('-r');
      const closing = operations.closeForUsers(step('close')).finally(() => role('-a'));
      await expect(closing).rejects.toMatchObject({
        kind: 'machineFailed',
        message: `user, who promotes, lacks VirtualMachine.State.RevertToSnapshot on production /DC0/vm/${live}`,
      });
      world.vsphere.settings.director = 'somebody else';
      await expect(operations.snapshot(step('snapshot'), 'live', name)).rejects.toMatchObject({
        kind: 'machineFailed',
        details: { fault: 'NoPermission' },
      });
      expect(await world.vsphere.govc('snapshot.tree', '-vm', live)).not.toContain(name);
      expect(await orders()).toBe(1000);
    });

    test('disks that no snapshot holds keep LIVE open for its users', async () => {
      const mode = (to: string) =>
        world.vsphere.govc('vm.disk.change', '-vm', live, '-disk.key', '204', '-mode', to);
      await mode('independent_persistent');
      await expect(operations.closeForUsers(step('close'))).rejects.toMatchObject({
        kind: 'machineFailed',
        details: { escapes: [expect.stringContaining('independent_persistent')] },
      });
      await mode('persistent');
      await using session = await world.session();
      expect(await session.query("select value from setting where key = 'users'")).toEqual([
        { value: 'open' },
      ]);
    });
  },
);
