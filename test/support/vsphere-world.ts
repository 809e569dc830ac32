import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canRunGuests } from '../../scripts/demo/vsphere/guest-process.ts';
import { openJumpHost, type JumpHost } from '../../scripts/demo/vsphere/jump-host.ts';
import { installDatabase, type LiveDatabase } from '../../scripts/demo/vsphere/live-database.ts';
import {
  startSimulatedVsphere,
  type SimulatedVsphere,
} from '../../scripts/demo/vsphere/simulated-vsphere.ts';
import { hasOpenssl } from '../../scripts/demo/vsphere/vcenter-front.ts';
import { printProgress } from '../../src/cli/progress.ts';
import { placeControl } from '../../src/control/place.ts';
import { stopServer } from '../../src/databases/postgres/server.ts';
import type { Context } from '../../src/pipeline/context.ts';
import { createOperations } from '../../src/pipeline/create-operations.ts';
import { openContext } from '../../src/pipeline/open-site.ts';
import { silent } from '../../src/progress.ts';
import { connect, type Connection } from '../../src/databases/postgres/connect.ts';
import { makeTestFolder } from './machine.ts';
import { findTestToolchain } from './toolchain.ts';
import { findVcsim } from './vcsim.ts';

/** A site on a simulated vCenter with a real LIVE behind its VM: a table of orders, VERSION 1.0, smoke tests. */
export interface VsphereWorld extends AsyncDisposable {
  folder: string;
  sitePath: string;
  vsphere: SimulatedVsphere;
  live: LiveDatabase;
  /** At LIVE's database, as people at work. */
  session: () => Promise<Connection>;
}

/** Why such a world cannot be made here; undefined: it can. Puts the engine's programs on PATH. */
export async function whyNoVsphereWorld(): Promise<string | undefined> {
  const toolchain = await findTestToolchain();
  if (toolchain === undefined || findVcsim() === undefined)
    return 'Pulumi or vcsim is not here, set CLONA_TOOLCHAIN';
  if (!hasOpenssl()) return 'openssl is not here';
  if (!(await canRunGuests())) return 'only root may make namespaces for guests';
  process.env['PATH'] = toolchain.path;
  return undefined;
}

export interface OpenedContext extends AsyncDisposable {
  context: Context;
}

/** What the verbs of the site share; CLONA_TEST_PROGRESS shows what it does. */
export async function openVsphereContext({ folder, sitePath }: VsphereWorld): Promise<OpenedContext> {
  const context = await openContext({
    sitePath,
    signal,
    onProgress: process.env['CLONA_TEST_PROGRESS'] === undefined ? silent : printProgress(process.stderr),
    createOperations: async (opened) => createOperations(opened, { note: () => {} }),
  });
  return {
    context,
    [Symbol.asyncDispose]: async () => {
      await context[Symbol.asyncDispose]();
      const control = placeControl(join(folder, '.clona')).folder;
      await stopServer({ dataDir: join(control, 'data'), mode: 'immediate' });
    },
  };
}

const signal = new AbortController().signal;

export async function createVsphereWorld(
  siteFile = '',
  {
    bootTimeout = '60s',
    jumpHost = false,
    clone = 'full',
  }: { bootTimeout?: string; jumpHost?: boolean; clone?: 'full' | 'linked' } = {},
): Promise<VsphereWorld> {
  await using opened = new AsyncDisposableStack();
  const folder = await makeTestFolder();
  opened.defer(async () => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const vsphere = opened.use(await startSimulatedVsphere(join(folder, 'host')));
  const live = await installDatabase(vsphere, 'DC0_H0_VM0', { max_connections: 40, fsync: false }, signal);
  const jump = jumpHost ? opened.use(await openJumpHost(vsphere.guests, folder)) : undefined;
  if (jumpHost) vsphere.settings.network = 'inner';
  const sitePath = join(folder, 'clona.yaml');
  await writeFile(join(folder, 'vcenter-password'), `${vsphere.password}\n`, { mode: 0o600 });
  await writeFile(
    sitePath,
    `${siteText(vsphere, live, `bootTimeout: ${bootTimeout}\n    clone: ${clone}${jump === undefined ? '' : jumpText(jump)}`)}${siteFile}`,
  );
  await mkdir(join(folder, 'smoke'));
  await writeFile(
    join(folder, 'smoke', 'orders.sql'),
    '-- check: orders are whole\n-- expect: no rows\nselect id from orders where total < 0;\n',
  );
  const session = async (database = 'erp'): Promise<Connection> =>
    connect({ ...live.address, database }, signal);
  {
    await using admin = await session('postgres');
    await admin.query('create database erp');
  }
  await using erp = await session();
  await erp.query(
    'create table orders (id bigint generated always as identity primary key, total int not null)',
  );
  await erp.query('insert into orders (total) select n from generate_series(1, 1000) n');
  await erp.query(
    "create table setting (key text primary key, value text); insert into setting values ('users', 'open')",
  );
  const { guests } = vsphere;
  await writeFile(join(guests.disk(await vsphere.guestOf('DC0_H0_VM0'), 'system'), 'VERSION'), '1.0\n');
  const owned = opened.move();
  return {
    folder,
    sitePath,
    vsphere,
    live,
    session,
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

/** An upgrade of its database and its program, which works. */
export async function writeKit({ folder }: VsphereWorld): Promise<string> {
  const kit = join(folder, 'kits', '1.1');
  await mkdir(kit, { recursive: true });
  const steps = '  - name: migrate\n    sql: migrate.sql\n  - name: program\n    run: sh program.sh\n';
  await writeFile(
    join(kit, 'kit.yaml'),
    `name: erp\nversion: '1.1'\nfromVersions: ['1.0']\nsteps:\n${steps}`,
  );
  await writeFile(join(kit, 'migrate.sql'), 'alter table orders add column note text;');
  await writeFile(join(kit, 'program.sh'), 'echo installed > "$CLONA_SYSTEM_DISK/installed"\n');
  return kit;
}

function jumpText({ host, port, user, privateKeyFile, hostKey }: JumpHost): string {
  return `
    jumpHost: { host: ${host}, port: ${port}, user: ${user}, privateKey: 'file:${privateKeyFile}', hostKey: '${hostKey}' }`;
}

function siteText(
  { server, user, guests }: SimulatedVsphere,
  { guest, binDir, socketDir }: LiveDatabase,
  more: string,
): string {
  return `
name: test
machines:
  platform: vsphere
  live: { name: DC0_H0_VM0 }
  vsphere:
    server: ${server}
    user: ${user}
    password: file:vcenter-password
    allowUnverifiedTls: true
    datacenter: DC0
    cluster: DC0_H0
    datastore: LocalDS_0
    isolatedPortGroup: VM Network
    systemDisk: ${guests.systemDisk}
    dataDisk: ${guests.dataDisk}
    socketDir: ${socketDir}
    ${more}
guest:
  user: ${guest.user}
  privateKey: file:${guest.privateKeyFile}
  hostKey: ${guest.hostKey}
  port: ${guests.port}
database:
  name: erp
  binDir: ${binDir}
  businessCounts:
    - name: orders
      sql: select count(*) as n, sum(total) as total from orders
archive:
  location: archive
  mirror: mirror
  acceptSharedDisk: a test
  minimumGrade: 5
staging:
  name: staging
departments:
  - name: accounting
    keyUsers: [anna]
dba:
  name: dora
promotion:
  closeForUsers:
    - sql: update setting set value = 'closed'
  openForUsers:
    - sql: update setting set value = 'open'
`;
}
