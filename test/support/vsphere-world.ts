import { mkdir, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { connect as connectTo, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { joinSockets } from '../../scripts/demo/vsphere/join-sockets.ts';
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
  /** The site's control.directory. */
  state: string;
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
export async function openVsphereContext({ state, sitePath }: VsphereWorld): Promise<OpenedContext> {
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
      const control = placeControl(state).folder;
      await stopServer({ dataDir: join(control, 'data'), mode: 'immediate' });
    },
  };
}

const signal = new AbortController().signal;

export interface WorldOptions {
  bootTimeout?: string;
  jumpHost?: boolean;
  clone?: 'full' | 'linked';
  /** Another user than the one who clones, who alone may change production. */
  director?: string;
  /** The site file says where LIVE's database is; without it is reached through the guest. */
  byUrl?: boolean;
  /** The site file lies apart from archive, state and smoke tests, and LIVE and the isolated network in folders of the vCenter. */
  siteApart?: boolean;
}

export async function createVsphereWorld(siteFile = '', options: WorldOptions = {}): Promise<VsphereWorld> {
  await using opened = new AsyncDisposableStack();
  const folder = await makeTestFolder();
  opened.defer(async () => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const vsphere = opened.use(await startSimulatedVsphere(join(folder, 'host')));
  const live = await installDatabase(vsphere, 'DC0_H0_VM0', { max_connections: 40, fsync: false }, signal);
  const { guests } = vsphere;
  await writeFile(join(guests.disk(await vsphere.guestOf('DC0_H0_VM0'), 'system'), 'VERSION'), '1.0\n');
  const site = await writeSite(opened, { folder, vsphere, live }, siteFile, options);
  const session = async (database = 'erp'): Promise<Connection> =>
    connect({ ...live.address, database }, signal);
  await fillDatabase(session);
  const owned = opened.move();
  return {
    folder,
    ...site,
    vsphere,
    live,
    session,
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function writeSite(
  opened: AsyncDisposableStack,
  { folder, vsphere, live }: Pick<VsphereWorld, 'folder' | 'vsphere' | 'live'>,
  siteFile: string,
  { bootTimeout = '60s', jumpHost, clone = 'full', director, byUrl, siteApart }: WorldOptions,
): Promise<Pick<VsphereWorld, 'sitePath' | 'state'>> {
  const sitePath = join(folder, ...(siteApart === true ? ['etc'] : []), 'clona.yaml');
  await mkdir(dirname(sitePath), { recursive: true });
  const at = (name: string): string => (siteApart === true ? join(folder, name) : name);
  const state = join(folder, siteApart === true ? 'state' : '.clona');
  await writeFile(join(folder, 'vcenter-password'), `${vsphere.password}\n`, { mode: 0o600 });
  const more = [`bootTimeout: ${bootTimeout}`, `clone: ${clone}`];
  vsphere.settings.director = director;
  if (director !== undefined)
    more.push(`promotionUser: ${director}`, `promotionPassword: file:${at('vcenter-password')}`);
  if (jumpHost === true) {
    vsphere.settings.network = 'inner';
    more.push(jumpText(opened.use(await openJumpHost(vsphere.guests, folder))));
  }
  if (byUrl === true)
    await writeFile(join(folder, 'database-url'), await serveDatabase(opened, live), { mode: 0o600 });
  const database = byUrl === true ? `url: file:${at('database-url')}` : 'name: erp';
  const words = { at, more, database, state, ...(siteApart === true ? fileAway(vsphere) : filed) };
  await writeFile(sitePath, `${siteText(vsphere, live, words)}${siteFile}`);
  await mkdir(join(folder, 'smoke'));
  await writeFile(
    join(folder, 'smoke', 'orders.sql'),
    '-- check: orders are whole\n-- expect: no rows\nselect id from orders where total < 0;\n',
  );
  return { sitePath, state };
}

const filed = { network: 'VM Network', liveName: 'DC0_H0_VM0' };

/** Into folders of the inventory, as most vCenters have them, with names that are none of a file. */
function fileAway({ arrange }: SimulatedVsphere): typeof filed {
  const found = { network: 'closed/VM Network', liveName: 'Büro Sarajevo/DC0_H0_VM0' };
  for (const [root, path] of [
    ['/DC0/network', found.network],
    ['/DC0/vm', found.liveName],
  ] as const) {
    const [folder = '', name = ''] = path.split('/');
    arrange('folder.create', `${root}/${folder}`);
    arrange('object.mv', `${root}/${name}`, `${root}/${folder}`);
  }
  return found;
}

async function fillDatabase(session: (database?: string) => Promise<Connection>): Promise<void> {
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

/** LIVE's database on the network card of its machine, which has none for it by itself. */
async function serveDatabase(
  opened: AsyncDisposableStack,
  { guest, address }: LiveDatabase,
): Promise<string> {
  if (guest.endpoint.kind !== 'tcp') throw new Error('LIVE has no address');
  const { host } = guest.endpoint;
  const sockets = new Set<Socket>();
  const server = createServer((near) =>
    joinSockets(near, connectTo(`${address.host}/.s.PGSQL.${address.port}`), sockets),
  );
  server.listen(5432, host);
  await once(server, 'listening');
  opened.defer(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return `postgresql://postgres@${host}:5432/erp\n`;
}

function jumpText({ host, port, user, privateKeyFile, hostKey }: JumpHost): string {
  return `jumpHost: { host: ${host}, port: ${port}, user: ${user}, privateKey: 'file:${privateKeyFile}', hostKey: '${hostKey}' }`;
}

interface SiteWords {
  /** A file or folder of the world, as the site file names it. */
  at: (name: string) => string;
  /** For machines.vsphere. */
  more: readonly string[];
  database: string;
  state: string;
  network: string;
  liveName: string;
}

function siteText(
  { server, user, guests }: SimulatedVsphere,
  { guest, binDir, socketDir }: LiveDatabase,
  { at, more, database, state, network, liveName }: SiteWords,
): string {
  return `
name: test
machines:
  platform: vsphere
  live: { name: ${liveName} }
  vsphere:
    server: ${server}
    user: ${user}
    password: file:${at('vcenter-password')}
    allowUnverifiedTls: true
    datacenter: DC0
    cluster: DC0_H0
    datastore: LocalDS_0
    isolatedPortGroup: ${network}
    systemDisk: ${guests.systemDisk}
    dataDisk: ${guests.dataDisk}
    socketDir: ${socketDir}
    ${more.join('\n    ')}
guest:
  user: ${guest.user}
  privateKey: file:${guest.privateKeyFile}
  hostKey: ${guest.hostKey}
  port: ${guests.port}
database:
  ${database}
  binDir: ${binDir}
  businessCounts:
    - name: orders
      sql: select count(*) as n, sum(total) as total from orders
archive:
  location: ${at('archive')}
  mirror: ${at('mirror')}
  acceptSharedDisk: a test
  minimumGrade: 5
control:
  directory: ${state}
smoke:
  directory: ${at('smoke')}
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
