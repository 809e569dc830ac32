import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from '../../src/guest/guest.ts';
import { openGuest } from '../../src/guest/open.ts';
import type { MachineFacts, Machines } from '../../src/machines/machines.ts';

/** A platform with one production machine on which `source.txt` with "from production" lies on the system disk. */
export interface PlatformUnderTest extends AsyncDisposable {
  machines: Machines;
  live: MachineFacts;
  /** Clones the production machine, as the platform's way through Pulumi does; returns when it is powered on. */
  clone(name: string, expiresAt: string | null): Promise<MachineFacts>;
  destroy(name: string): Promise<void>;
  /** Whether anything of that machine is left: files, processes, inventory. */
  leftovers(name: string): Promise<string[]>;
  /** Machines whose time has passed at `now`. */
  expired(now: string): Promise<string[]>;
}

/** What src/machines/machines.ts promises, for every platform. */
export function testMachinesContract(
  name: string,
  start: () => Promise<PlatformUnderTest>,
  skip: string | undefined,
): void {
  describe.skipIf(skip !== undefined)(
    `machines contract: ${name}${skip === undefined ? '' : ` (${skip})`}`,
    () => {
      let platform: PlatformUnderTest;
      let staging: MachineFacts;
      const { signal } = new AbortController();
      const inside = async <Result>(work: (guest: Guest) => Promise<Result>): Promise<Result> => {
        const { guest: address } = await platform.machines.describe('contract', signal);
        await using guest = await openGuest(address, signal);
        return await work(guest);
      };
      const readNote = async (path: string): Promise<string> =>
        inside(async (guest) => (await guest.readFile(path, signal)).toString());

      beforeAll(async () => {
        platform = await start();
        staging = await platform.clone('contract', '2030-01-01T00:00:00.000Z');
      });
      afterAll(async () => platform?.[Symbol.asyncDispose]());

      test('a clone is another machine with the same system disk', async () => {
        expect(staging).toMatchObject({
          role: 'staging',
          power: 'on',
          expiresAt: '2030-01-01T00:00:00.000Z',
        });
        expect(staging.guest.hostKey).not.toBe(platform.live.guest.hostKey);
        expect(await readNote(`${staging.systemDisk}/source.txt`)).toBe('from production');
      });

      test('what is written in the clone never reaches its source', async () => {
        await inside(async (guest) => {
          await guest.writeFile(`${staging.systemDisk}/source.txt`, 'from staging', 0o644, signal);
        });
        await using live = await openGuest(platform.live.guest, signal);
        expect((await live.readFile(`${platform.live.systemDisk}/source.txt`, signal)).toString()).toBe(
          'from production',
        );
      });

      test('a staging machine reaches nothing outside', async () => {
        expect(staging.isolation).toBe('network');
        expect(await platform.machines.probeIsolation('contract', signal)).toEqual([]);
      });

      test('the probe sees what a machine without isolation reaches', async () => {
        expect(await platform.machines.probeIsolation(platform.live.name, signal)).not.toEqual([]);
      });

      test('a snapshot brings both disks back, and the machine stays off', async () => {
        const { machines } = platform;
        const note = `${staging.dataDisk}/note`;
        await inside(async (guest) => guest.writeFile(note, 'before', 0o600, signal));
        const snapshot = await machines.createSnapshot('contract', 'first', signal);
        expect(snapshot).toMatchObject({ name: 'first', escapes: [] });
        await inside(async (guest) => {
          await guest.writeFile(note, 'after', 0o600, signal);
          await guest.run(['rm', `${staging.systemDisk}/source.txt`], { signal });
        });
        await machines.revertSnapshot('contract', 'first', signal);
        expect((await machines.describe('contract', signal)).power).toBe('off');
        await machines.powerOn('contract', signal);
        expect(await readNote(note)).toBe('before');
        expect(await readNote(`${staging.systemDisk}/source.txt`)).toBe('from staging');
      });

      test('a snapshot serves more than once, and its removal can be repeated', async () => {
        const { machines } = platform;
        await machines.revertSnapshot('contract', 'first', signal);
        await machines.powerOn('contract', signal);
        expect((await machines.listSnapshots('contract', signal)).map((one) => one.name)).toEqual(['first']);
        await machines.removeSnapshot('contract', 'first', signal);
        await machines.removeSnapshot('contract', 'first', signal);
        expect(await machines.listSnapshots('contract', signal)).toEqual([]);
        await expect(machines.revertSnapshot('contract', 'first', signal)).rejects.toMatchObject({
          kind: 'machineFailed',
        });
        expect((await machines.describe('contract', signal)).power).toBe('on');
      });

      test('power can be asked for twice', async () => {
        const { machines } = platform;
        await machines.powerOff('contract', 2000, signal);
        await machines.powerOff('contract', 2000, signal);
        expect((await machines.describe('contract', signal)).power).toBe('off');
        await machines.powerOn('contract', signal);
        await machines.powerOn('contract', signal);
        expect((await machines.describe('contract', signal)).power).toBe('on');
      });

      test('a machine that is not there is named', async () => {
        await expect(platform.machines.describe('nobody', signal)).rejects.toMatchObject({
          kind: 'machineFailed',
        });
        await expect(platform.machines.powerOn('nobody', signal)).rejects.toThrow(/nobody/);
      });

      test('an expired machine is found, and only that', async () => {
        expect(await platform.expired('2029-12-31T23:59:59.000Z')).toEqual([]);
        expect(await platform.expired('2030-01-01T00:00:00.000Z')).toEqual(['contract']);
      });

      test('destroying leaves nothing, twice, and the source untouched', async () => {
        await platform.destroy('contract');
        await platform.destroy('contract');
        expect(await platform.leftovers('contract')).toEqual([]);
        await expect(platform.machines.describe('contract', signal)).rejects.toThrow(/contract/);
        expect((await platform.machines.describe(platform.live.name, signal)).power).toBe('on');
      });
    },
  );
}
