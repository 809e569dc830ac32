import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClonaError } from '../../src/errors.ts';
import { openVim, type Vim } from '../../src/machines/vsphere/client.ts';
import type { Patient } from '../../src/doctor/check.ts';
import { checks } from '../../src/doctor/checks.ts';
import { examine } from '../../src/doctor/examine.ts';
import { vsphereDevices } from '../../src/doctor/vsphere-devices.ts';
import type { HostSight } from '../../src/pipeline/vsphere/live-storage.ts';
import type { Site } from '../../src/site/site.ts';
import { findPromotionLacks } from '../../src/machines/vsphere/privilege-objects.ts';
import {
  clonePrivileges,
  promotionPrivileges,
  readPrivileges,
} from '../../src/machines/vsphere/privileges.ts';
import { makeTestFolder } from '../support/machine.ts';
import { findVcsim, startVcsim, type Vcsim } from '../support/vcsim.ts';
import { completeLive, liveName, writeVsphereSite } from '../support/vsphere-site.ts';

const missing = findVcsim() === undefined ? ' (vcsim is not here, set CLONA_TOOLCHAIN)' : '';
/** A machine that no VM snapshot holds as a whole, and with a disk on a file server. */
const loose = 'DC0_H0_VM1';
const { vsphereReachable, vsphereClone, vsphereEscapes, vsphereNetwork, vspherePrivileges } = checks;

const signal = AbortSignal.timeout(120_000);

describe.skipIf(missing !== '')(`doctor on a vCenter${missing}`, () => {
  let vcsim: Vcsim;
  let folder: string;
  beforeAll(async () => {
    vcsim = await startVcsim();
    completeLive(vcsim);
    vcsim.govc(
      'vm.disk.create',
      '-vm',
      loose,
      '-name',
      'loose',
      '-size',
      '1G',
      '-mode',
      'independent_persistent',
    );
    folder = await makeTestFolder();
    shelve(vcsim, await mkdtemp(join(folder, 'shelf-')));
  });
  afterAll(async () => {
    await vcsim?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const production = async () => Promise.reject(new Error('no database is asked'));
  async function look(site: Site, table: Parameters<typeof examine>[1]): Promise<string[]> {
    const found = await examine({ site, signal, now: new Date(), production }, table);
    return found.map(({ state, what }) => `${state} ${what}`);
  }

  /** The simulator gives everybody the rights of its role Admin. */
  async function without<Result>(
    privileges: readonly string[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    vcsim.govc('role.update', '-r', 'Admin', ...privileges);
    try {
      return await work();
    } finally {
      vcsim.govc('role.update', '-a', 'Admin', ...privileges);
    }
  }

  test('finds everything in order for an administrator, and says that one user does both', async () => {
    const site = await writeVsphereSite(folder, vcsim);
    const before = vcsim.govc('find', '/');
    expect(await look(site, { vsphereClone, vsphereEscapes, vspherePrivileges })).toEqual([
      `ok ${liveName} can be cloned: 1 CPUs, 32 MiB, 1 disks of 10 GiB`,
      `ok a VM snapshot of /DC0/vm/${liveName} holds all its disks`,
      'ok user, who clones, has every vSphere privilege for it',
      'ok user, who promotes, has every vSphere privilege for it',
      'warning the user who clones may also change production',
    ]);
    expect(vcsim.govc('find', '/')).toBe(before);
  });

  test('names the neighbours of clones on the isolated network, unless it is the jump host alone', async () => {
    const site = await writeVsphereSite(folder, vcsim);
    expect(await look(site, { vsphereNetwork })).toEqual([
      'ok the network VM Network is that of clones alone',
    ]);
    const inhabited = await writeVsphereSite(folder, vcsim, ['isolatedPortGroup: DC0_DVPG0']);
    expect(await look(inhabited, { vsphereNetwork })).toEqual([
      `warning on the isolated network DC0_DVPG0 are machines that clona did not make: DC0_C0_RP0_VM0, DC0_C0_RP0_VM1, DC0_H0_VM0, DC0_H0_VM1`,
    ]);
    const own = await writeVsphereSite(folder, vcsim, ['host: DC0_H0']);
    expect(await look(own, { vsphereNetwork })).toEqual([
      'ok each clone gets a port group of its own, without uplink',
    ]);
  });

  test('names each missing privilege with its object in a row of its own', async () => {
    const site = await writeVsphereSite(folder, vcsim);
    const lost = ['VirtualMachine.Provisioning.Clone', 'Datastore.AllocateSpace', 'Network.Assign'];
    const rows = await without(lost, async () => look(site, { vspherePrivileges }));
    expect(rows.filter((row) => row.startsWith('failed'))).toEqual([
      `failed user, who clones, lacks VirtualMachine.Provisioning.Clone on production /DC0/vm/${liveName}`,
      'failed user, who clones, lacks Datastore.AllocateSpace on the datastore LocalDS_0',
      'failed user, who clones, lacks Network.Assign on the network /DC0/network/VM Network',
      'failed user, who promotes, lacks Datastore.AllocateSpace on the datastore LocalDS_0',
    ]);
  });

  test('tells who clones from who promotes, and warns when the former could change production', async () => {
    const site = await writeVsphereSite(folder, vcsim, [
      'promotionUser: director',
      'promotionPassword: file:vcenter-password',
    ]);
    const rows = await without(['VirtualMachine.State.RevertToSnapshot'], async () =>
      look(site, { vspherePrivileges }),
    );
    expect(rows).toEqual([
      'failed user, who clones, lacks VirtualMachine.State.RevertToSnapshot on the folder /DC0/vm',
      `failed director, who promotes, lacks VirtualMachine.State.RevertToSnapshot on production /DC0/vm/${liveName}`,
      expect.stringMatching(
        /^warning user, who clones, could change production: VirtualMachine\.Inventory\.Delete, /,
      ),
    ]);
  });

  test('refuses production with a disk that escapes its snapshot, before anything is changed', async () => {
    const site = await writeVsphereSite(folder, vcsim, [], {}, loose);
    const rows = await look(site, { vsphereClone, vsphereEscapes });
    expect(rows).toEqual([
      expect.stringMatching(new RegExp(`^failed ${loose} cannot be cloned: .* is independent persistent`)),
      expect.stringContaining('disk mode independent_persistent'),
    ]);
  });

  test('names a base snapshot that no linked clone stands on', async () => {
    const site = await writeVsphereSite(folder, vcsim);
    vcsim.govc('snapshot.create', '-vm', liveName, 'clona-base');
    const rows = await look(site, { vsphereClone }).finally(() =>
      vcsim.govc('snapshot.remove', '-vm', liveName, 'clona-base'),
    );
    expect(rows).toContain(
      `warning no linked clone stands on the snapshot clona-base of ${liveName}, which grows with every write`,
    );
  });

  test('names that the vCenter does not have are one row, and the other checks go on', async () => {
    const site = await writeVsphereSite(folder, vcsim, ['datastore: nowhere']);
    const rows = await look(site, { vsphereClone, vspherePrivileges, vsphereEscapes });
    expect(rows).toEqual([
      'failed vSphere has no datastore /DC0/datastore/nowhere',
      'failed vSphere has no datastore /DC0/datastore/nowhere',
      expect.stringMatching(/^ok a VM snapshot/),
    ]);
  });

  test('looks whether archive and mirror lie on a datastore of LIVE (R16)', async () => {
    const rows = async (accepted?: string): Promise<string[]> => {
      const site = await writeVsphereSite(folder, vcsim, [], {}, loose);
      const { archive } = site;
      const own = { ...archive, location: '/mnt/filer', mirror: '/mnt/disk', acceptSharedDisk: accepted };
      const sight = await seeHost(vcsim);
      const look = async (patient: Patient) => vsphereDevices(patient, sight);
      const found = await examine(
        { site: { ...site, archive: own }, signal, now: new Date(), production },
        { vsphereDevices: { topic: 'staging', look } },
      );
      return found.map(({ state, what }) => `${state} ${what}`);
    };
    expect(await rows()).toEqual([
      expect.stringMatching(
        /^failed the archive and the VM \S+ are on one disk.*the server filer\.example \(datastore shelf-\w+\)/,
      ),
      expect.stringMatching(/^failed the mirror .*both lie on the datastore LocalDS_0/),
    ]);
    expect(await rows('one filer is all we have')).toEqual([
      expect.stringMatching(/^warning the archive .* are on ONE DISK, accepted: one filer is all we have/),
      expect.stringMatching(/^warning the mirror/),
    ]);
    const site = await writeVsphereSite(folder, vcsim);
    const refused = new ClonaError('machineFailed', 'no', { details: { fault: 'NoPermission' } });
    const blind = { ...(await seeHost(vcsim)), identity: async () => Promise.reject(refused) };
    expect(
      await vsphereDevices(
        {
          site: { ...site, archive: { ...site.archive, location: '/mnt/disk' } },
          signal,
          now: new Date(),
          production,
        },
        blind,
      ),
    ).toEqual([{ state: 'skipped', what: expect.stringContaining('System.Read on its datastores') }]);
    expect(await look(site, { vsphereDevices: checks.vsphereDevices })).toEqual([
      expect.stringMatching(/^(ok|skipped) .*the archive and the VM DC0_H0_VM0/),
    ]);
  });

  test('says once that the vCenter does not answer, and who it lets in', async () => {
    const all = { vsphereReachable, vsphereClone, vsphereNetwork, vsphereEscapes, vspherePrivileges };
    const away = await writeVsphereSite(folder, { ...vcsim, server: '127.0.0.1:1' });
    expect(await look(away, all)).toEqual(['failed cannot talk to the vSphere server 127.0.0.1:1']);
    const more = ['promotionUser: director', 'promotionPassword: file:vcenter-password'];
    const site = await writeVsphereSite(folder, vcsim, more);
    expect(await look(site, { vsphereReachable })).toEqual([
      `ok the vCenter ${vcsim.server} lets in user and director`,
    ]);
  });

  test('a vCenter that lets nobody ask for users is asked for the session', async () => {
    const { server, user, password } = vcsim;
    await using vim = await openVim({ server, user, password, allowUnverifiedTls: true }, signal);
    const asked: string[] = [];
    const strict: Vim = {
      ...vim,
      call: async (method, ...rest) => {
        asked.push(method);
        if (method !== 'FetchUserPrivilegeOnEntities') return vim.call(method, ...rest);
        throw new ClonaError('machineFailed', 'no', { details: { fault: 'NoPermission' } });
      },
    };
    const objects = { vcenter: [{ reference: vim.content.rootFolder, name: 'the vCenter' }] };
    const held = await readPrivileges(strict, objects, signal);
    expect(asked).toContain('HasPrivilegeOnEntities');
    expect(held.on(vim.content.rootFolder).has('Network.Assign')).toBe(true);
    // Whoever may not ask is let go on: a promotion may well succeed.
    const mute: Vim = {
      ...vim,
      call: async (method, ...rest) => {
        if (!method.endsWith('PrivilegeOnEntities')) return vim.call(method, ...rest);
        throw new ClonaError('machineFailed', 'no', { details: { fault: 'NoPermission' } });
      },
    };
    const path = `/DC0/vm/${liveName}`;
    expect(await findPromotionLacks(mute, path, signal)).toEqual({ user: '', lacks: [] });
    const lost = ['VirtualMachine.State.RevertToSnapshot'];
    expect((await without(lost, async () => findPromotionLacks(vim, path, signal))).lacks).toEqual([
      `VirtualMachine.State.RevertToSnapshot on production ${path}`,
    ]);
  });

  test('every privilege of the lists is one that vSphere knows, and that the documentation names', async () => {
    const known = new Set(vcsim.govc('role.ls', 'Admin').trim().split('\n'));
    const named = [...clonePrivileges, ...promotionPrivileges].flatMap(({ privileges }) => privileges);
    expect(named.filter((privilege) => !known.has(privilege))).toEqual([]);
    const page = await readFile(new URL('../../docs/how-to/vsphere.md', import.meta.url), 'utf8');
    expect(named.filter((privilege) => !page.includes(privilege.split('.').at(-1)!))).toEqual([]);
  });
});

/** Gives `loose` a disk on a share of filer.example; the simulator keeps it in `shelf`. */
function shelve({ govc }: Vcsim, shelf: string): void {
  const remote = ['-remote-host', 'filer.example', '-remote-path', '/vol/erp', '-mode', 'readWrite'];
  govc('datastore.create', '-type', 'nfs', '-name', shelf, ...remote, 'DC0_H0');
  const [, name = ''] = /([^/]+)$/.exec(shelf) ?? [];
  govc('vm.disk.create', '-vm', loose, '-ds', name, '-name', 'data', '-size', '1G');
}

/** A host that is `liveName` of the vCenter: a mounted share of filer.example, and a virtual disk. */
async function seeHost({ govc }: Vcsim): Promise<HostSight> {
  const [uuid = ''] = govc('object.collect', '-s', `/DC0/vm/${liveName}`, 'config.uuid').trim().split('\n');
  const disk = { name: 'sdb', identity: 'sdb', label: 'disk sdb', below: [], backingFile: undefined };
  return {
    identity: async () => ({ uuids: [uuid], cards: [] }),
    addressesOf: async () => [],
    devices: {
      mountInfo: async () =>
        '1 0 0:44 / /mnt/filer rw - nfs4 filer.example:/backup rw\n2 0 8:16 / /mnt/disk rw - ext4 /dev/sdb rw\n',
      block: async () => ({ ...disk, isMemory: false, isVirtual: true }),
      numberOf: async () => undefined,
      btrfsMembers: async () => [],
      exists: async () => true,
      realPath: async (path) => path,
      fileSystemNumber: async (path) => path.length,
    },
  };
}
