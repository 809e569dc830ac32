import { chown, cp, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installErp } from '../../../examples/erp/install.ts';
import { connectOracle } from '../../../src/databases/oracle/connect.ts';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import type { GuestAddress } from '../../../src/guest/guest.ts';
import { openGuest } from '../../../src/guest/open.ts';
import { guestAddress } from '../vsphere/guests.ts';
import { startSimulatedVsphere, type SimulatedVsphere } from '../vsphere/simulated-vsphere.ts';
import type { DemoWorld } from '../world.ts';
import { bringBackOracle } from './disaster.ts';
import { constraintStatements, firstRows, schemaStatements } from './erp/schema.ts';
import {
  createOracleDatabase,
  installOracle,
  layOracleSoftware,
  listenerPort,
  type OracleSoftware,
} from './guest.ts';
import { workOnOracle } from './people.ts';
import { writeOracleSite } from './site.ts';

export const live = 'erp-live';
/** Not secrets: of a simulator that ends with the demo. */
export const passwords = { clona: 'Clona_pa55', sys: 'Sys_pa55', erp: 'Erp_pa55' };

/** What docs/how-to/oracle-staging.md asks for the site's own user. */
const grants = [
  'CREATE SESSION',
  'RESTRICTED SESSION',
  'SELECT_CATALOG_ROLE',
  'SELECT ANY TABLE',
  'FLASHBACK ANY TABLE',
  'EXECUTE ON SYS.DBMS_FLASHBACK',
];

/** VMs of a simulated vCenter that run the simulated Oracle, with real machines of this host behind them, in `hostFolder`. */
export async function openOracleWorld(
  siteFolder: string,
  hostFolder: string,
  signal: AbortSignal,
): Promise<DemoWorld> {
  await using opened = new AsyncDisposableStack();
  await mkdir(hostFolder, { mode: 0o711 });
  const software = await layOracleSoftware(hostFolder);
  const [archive, mirror] = [join(siteFolder, 'archive'), join(siteFolder, 'archive-mirror')];
  const archives = [archive, mirror];
  const readOnly = archives.map((folder) => ({ from: folder, to: folder, readOnly: true }));
  const mounts = (vm: string) => (vm === live ? [] : readOnly);
  const vsphere = opened.use(await startSimulatedVsphere(hostFolder, live, software.options, { mounts }));
  const { guests } = vsphere;
  for (const folder of archives) {
    await mkdir(folder, { recursive: true });
    await chown(folder, guests.uid, guests.uid);
  }
  const id = await vsphere.guestOf(live);
  const address: DatabaseAddress = {
    engine: 'oracle',
    host: guests.address(id),
    port: listenerPort,
    database: 'ERP',
    user: 'CLONA',
    password: passwords.clona,
  };
  const guest = await installLive(vsphere, software, archive, signal);
  const sys = { ...address, user: 'SYS', password: passwords.sys, oracle: { privilege: 'sysdba' as const } };
  const rows = await loadErp(sys, mirror, signal);
  await copyErp(siteFolder);
  const site = await writeOracleSite(siteFolder, vsphere, {
    guest,
    home: software.home,
    address,
    live,
  });
  const disk = guests.disk(id, 'system');
  const world = opened.move();
  return {
    site,
    rows,
    readVersion: async () => (await readFile(join(disk, 'VERSION'), 'utf8')).trim(),
    people: workOnOracle({ ...address, user: 'ERP', password: passwords.erp }, sys),
    bringBack: async (disaster) => {
      await world.disposeAsync();
      await rm(hostFolder, { recursive: true, force: true, maxRetries: 5 });
      await rm(join(site.folder, '.clona'), { recursive: true, force: true, maxRetries: 5 });
      return bringBackOracle(site, passwords.sys, disaster);
    },
    [Symbol.asyncDispose]: async () => world.disposeAsync(),
  };
}

/** Oracle's software, a database whose log goes to two places, and the ERP's program. */
async function installLive(
  vsphere: SimulatedVsphere,
  software: OracleSoftware,
  archive: string,
  signal: AbortSignal,
): Promise<GuestAddress> {
  const { guests } = vsphere;
  const id = await vsphere.guestOf(live);
  const [systemDisk, dataPath] = [guests.disk(id, 'system'), guests.dataDisk];
  await installOracle(software, {
    hostName: live,
    systemDisk,
    dataPath,
    uid: guests.uid,
    sysPassword: passwords.sys,
  });
  const address = await guestAddress(guests, id);
  await using guest = await openGuest(address, signal);
  await guest.runShell(`sh ${guests.systemDisk}/boot`, { signal });
  const database = {
    sid: 'ERP',
    databaseName: 'ERP',
    folder: dataPath,
    recoveryArea: archive,
    tablespaces: ['USERS', 'ERP'],
    users: [{ name: 'CLONA', password: passwords.clona, grants }],
    // A reverted LIVE must not go on by itself under log names that are archived already (R20).
    startsAtBoot: false,
  };
  await createOracleDatabase(guest, software.home, database, signal);
  await installErp(guest, guests.systemDisk, signal);
  return address;
}

async function loadErp(sys: DatabaseAddress, mirror: string, signal: AbortSignal): Promise<number> {
  await using session = await connectOracle(sys, signal);
  // R14: the log goes to two places.
  await session.execute(`ALTER SYSTEM SET log_archive_dest_2 = 'LOCATION=${mirror}/archivelog' SCOPE=BOTH`);
  for (const statement of schemaStatements(passwords.erp)) await session.execute(statement);
  let rows = 0;
  for (const statement of firstRows()) {
    await session.execute(statement);
    rows += 1;
  }
  await session.driver.commit();
  for (const statement of constraintStatements) await session.execute(statement);
  return rows;
}

/** The parts of the sample ERP that know no database, and over them those that know Oracle. */
export async function copyErp(folder: string): Promise<void> {
  const [erp, own] = ['../../../examples/erp', 'erp'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  for (const version of ['2.0', '2.1', '2.2', '2.3']) {
    await cp(join(erp!, 'kits', version), join(folder, 'kits', version), {
      recursive: true,
      filter: (path) => !path.endsWith('/sql') && !path.endsWith('kit.yaml'),
    });
  }
  for (const part of ['kits', 'smoke', 'masking'])
    await cp(join(own!, part), join(folder, part), { recursive: true });
}
