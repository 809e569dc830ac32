import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { installErp } from '../../../examples/erp/install.ts';
import { loadErp } from '../../../examples/erp/load.ts';
import { openGuest } from '../../../src/guest/open.ts';
import { loadSite } from '../../../src/site/load.ts';
import type { Site } from '../../../src/site/site.ts';
import { endInDisaster } from '../disaster.ts';
import { workOnPostgres } from '../people.ts';
import { copyExample } from '../try.ts';
import type { DemoWorld } from '../world.ts';
import { installDatabase, type LiveDatabase } from './live-database.ts';
import { startSimulatedVsphere, type SimulatedVsphere } from './simulated-vsphere.ts';

const live = 'erp-live';

/** VMs of a simulated vCenter, with real machines of this host behind them, in `hostFolder`. `keep`: nothing is deleted, only put aside for a while. */
export async function openVsphereWorld(
  siteFolder: string,
  hostFolder: string,
  keep: boolean,
  signal: AbortSignal,
): Promise<DemoWorld> {
  await using opened = new AsyncDisposableStack();
  await mkdir(hostFolder, { mode: 0o711 });
  const vsphere = opened.use(await startSimulatedVsphere(hostFolder, live));
  const settings = { max_connections: 50, shared_buffers: '64MB', max_slot_wal_keep_size: '2GB' };
  const database = await installDatabase(vsphere, live, settings, signal);
  const { rows } = await loadErp(database.address);
  {
    await using guest = await openGuest(database.guest, signal);
    await installErp(guest, vsphere.guests.systemDisk, signal);
  }
  const site = await writeSite(siteFolder, vsphere, database);
  const disk = vsphere.guests.disk(await vsphere.guestOf(live), 'system');
  const world = opened.move();
  return {
    site,
    rows,
    people: workOnPostgres(database.address),
    readVersion: async () => (await readFile(join(disk, 'VERSION'), 'utf8')).trim(),
    bringBack: async (disaster) =>
      endInDisaster(
        site,
        async () => {
          if (keep) return putAside(vsphere, site);
          await world.disposeAsync();
          await rm(hostFolder, { recursive: true, force: true, maxRetries: 5 });
          await rm(join(site.folder, '.clona'), { recursive: true, force: true, maxRetries: 5 });
          return new AsyncDisposableStack();
        },
        disaster,
      ),
    [Symbol.asyncDispose]: async () => world.disposeAsync(),
  };
}

/** Takes the power from every VM and moves the control state away; disposing brings them back. */
async function putAside(
  { govc, guests, guestOf }: SimulatedVsphere,
  site: Site,
): Promise<AsyncDisposableStack> {
  await using back = new AsyncDisposableStack();
  for (const name of [live, site.staging.name]) {
    const id = await guestOf(name).catch(() => undefined);
    if (id === undefined || !guests.isOn(id)) continue;
    back.defer(async () => void (await govc('vm.power', '-on', name)));
    await govc('vm.power', '-off', '-force', name);
  }
  const state = join(site.folder, '.clona');
  await rename(state, `${state}.aside`);
  back.defer(async () => rename(`${state}.aside`, state));
  return back.move();
}

/** The sample ERP's own site file, with its machines on the vCenter. */
async function writeSite(
  folder: string,
  { server, user, password, guests }: SimulatedVsphere,
  { guest, binDir, socketDir }: LiveDatabase,
): Promise<Site> {
  const { file } = await copyExample(folder);
  await writeFile(join(folder, 'vcenter-password'), `${password}\n`, { mode: 0o600 });
  const document = parseDocument(await readFile(file, 'utf8'));
  document.set('machines', {
    platform: 'vsphere',
    live: { name: live },
    vsphere: {
      server,
      user,
      password: 'file:vcenter-password',
      allowUnverifiedTls: true,
      datacenter: 'DC0',
      cluster: 'DC0_H0',
      datastore: 'LocalDS_0',
      isolatedPortGroup: 'VM Network',
      systemDisk: guests.systemDisk,
      dataDisk: guests.dataDisk,
      socketDir,
    },
  });
  document.set('guest', {
    user: guest.user,
    privateKey: `file:${guest.privateKeyFile}`,
    hostKey: guest.hostKey,
    port: guests.port,
  });
  document.setIn(['database', 'binDir'], binDir);
  await writeFile(file, document.toString());
  return loadSite(file);
}
