import { chown, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { GuestAddress } from '../../../src/guest/guest.ts';
import { openGuest } from '../../../src/guest/open.ts';
import { openTcpBridge } from '../../../src/guest/tcp-bridge.ts';
import { placeControl } from '../../../src/control/place.ts';
import { stopServer } from '../../../src/databases/postgres/server.ts';
import type { Site } from '../../../src/site/site.ts';
import { clona } from '../disaster.ts';
import { guestAddress, openGuestHost } from '../vsphere/guests.ts';
import type { Disaster, DisasterTold } from '../world.ts';
import { installOracle, layOracleSoftware, listenerPort } from './guest.ts';
import { compareOrders } from './people.ts';

const machine = 'spare';
const name = 'ERPBACK';

/**
 * The day after: there is the archive's folder, and a machine with Oracle's software and empty disks that sees it. One command
 * restores the database there.
 */
export async function bringBackOracle(
  { archive }: Site,
  sysPassword: string,
  { journal, folder, signal }: Disaster,
): Promise<DisasterTold> {
  await using opened = new AsyncDisposableStack();
  const startedAt = performance.now();
  const hostFolder = join(folder, 'back');
  await mkdir(hostFolder, { mode: 0o711 });
  const { location } = archive;
  const software = await layOracleSoftware(hostFolder);
  const host = opened.use(await openGuestHost(hostFolder, software.options));
  await host.create(machine);
  const [systemDisk, dataPath] = [host.disk(machine, 'system'), host.dataDisk];
  await installOracle(software, { hostName: machine, systemDisk, dataPath, uid: host.uid, sysPassword });
  await chown(host.disk(machine, 'data'), host.uid, host.uid);
  const mounts = [{ from: location, to: location, readOnly: true }];
  await host.powerOn(machine, ['00:50:56:00:00:99'], { mounts });
  const address = await guestAddress(host, machine);
  const site = await writeSite(folder, location, address, software.home);
  opened.defer(async () =>
    stopServer({
      dataDir: join(placeControl(join(folder, 'day-after', '.clona')).folder, 'data'),
      mode: 'immediate',
    }),
  );
  const target = ['--to', join(dataPath, 'oradata'), '--name', name, '--recovery-size', '1GB'];
  await clona(
    ['restore', '--site', site, '--archive', location, '--guest', host.address(machine), ...target, '--json'],
    signal,
  );
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  await using guest = await openGuest(address, signal);
  await using bridge = await openTcpBridge(
    async () => guest,
    { host: '127.0.0.1', port: listenerPort },
    signal,
  );
  const { ordersCommitted, ordersFound } = await compareOrders(
    {
      engine: 'oracle',
      host: bridge.host,
      port: bridge.port,
      database: name,
      user: 'SYS',
      password: sysPassword,
      oracle: { privilege: 'sysdba', evenRestricted: true },
    },
    journal,
  );
  return { ordersArchived: ordersCommitted, ordersRestored: ordersFound, seconds };
}

/** The way into the new machine: all that a restore needs beside the archive. */
async function writeSite(
  folder: string,
  location: string,
  guest: GuestAddress,
  home: string,
): Promise<string> {
  const place = join(folder, 'day-after');
  await mkdir(place);
  await copyFile(guest.privateKeyFile, join(place, 'guest-key'));
  const port = guest.endpoint.kind === 'tcp' ? guest.endpoint.port : 22;
  const site = {
    name: 'erp',
    guest: { user: guest.user, privateKey: 'file:guest-key', hostKey: guest.hostKey, port },
    database: { engine: 'oracle', oracle: { home, instance: name } },
    archive: { location },
  };
  const file = join(place, 'clona.yaml');
  await writeFile(file, stringify(site));
  return file;
}
