import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Connection } from '../../../src/databases/postgres/connect.ts';
import { archiveSettings } from '../../../src/databases/postgres/log-slot.ts';
import { createLocalMachine } from '../../../src/machines/local/create.ts';
import { destroyLocalMachine } from '../../../src/machines/local/destroy.ts';
import { listLocalMachines } from '../../../src/machines/local/local-machines.ts';
import { withGuest, withMachine, type SiteAccess } from '../../../src/pipeline/machine/access.ts';
import { startMachine } from '../../../src/pipeline/postgres/machine-operations.ts';
import { postgresDoor } from '../../../src/pipeline/postgres/server.ts';
import { openAccess } from '../../../src/pipeline/open-access.ts';
import type { Step } from '../../../src/pipeline/operations.ts';
import { loadSite } from '../../../src/site/load.ts';
import { copyCluster } from '../../support/cluster-template.ts';

export interface LiveSite extends AsyncDisposable {
  access: SiteAccess;
  folder: string;
  session: () => Promise<Connection>;
  step: (key: string) => Step;
}

const signal = new AbortController().signal;

/** A site with a real LIVE machine: SSH, PostgreSQL with its log handed to a spool, a table of orders, VERSION 1.0. */
export async function createLiveSite(siteFile = ''): Promise<LiveSite> {
  const folder = await mkdtemp(join(tmpdir(), 'clona-live-'));
  await chmod(folder, 0o711);
  await writeFile(join(folder, 'clona.yaml'), `${siteText}${siteFile}`);
  await mkdir(join(folder, 'smoke'));
  await writeFile(
    join(folder, 'smoke', 'orders.sql'),
    '-- check: orders are whole\n-- expect: no rows\nselect id from orders where total < 0;\n',
  );
  const site = await loadSite(join(folder, 'clona.yaml'));
  const { root } = site.machines;
  await createLocalMachine({ root, name: 'live', role: 'live', databaseName: 'erp' }, signal);
  const access = await openAccess(site);
  const address = await withMachine(access, 'live', signal, async (machine) => {
    const { facts, door } = machine;
    const spool = join(facts.dataDisk, 'spool');
    await withGuest(machine, signal, async (guest) => {
      await guest.run(['mkdir', '-m', '700', spool], { signal });
      await guest.writeFile(join(facts.systemDisk, 'VERSION'), '1.0\n', 0o644, signal);
    });
    const { uid, gid } = await stat(facts.dataDisk);
    const runAs = process.getuid?.() === 0 ? { uid, gid } : undefined;
    const { binaries, dataDir } = postgresDoor(door).server;
    const settings = { ...archiveSettings(spool, 1024), max_prepared_transactions: 2 };
    await copyCluster({ binaries, dataDir, runAs, walSegmentSizeMegabytes: 1, settings });
    return facts.database;
  });
  await startMachine(access, 'live', signal);
  {
    await using admin = await connect({ ...address, database: 'postgres' }, signal);
    await admin.query('create database erp');
  }
  const session = async (): Promise<Connection> => connect({ ...address, database: 'erp' }, signal);
  await using erp = await session();
  await erp.query(
    'create table orders (id bigint generated always as identity primary key, total int not null)',
  );
  await erp.query('insert into orders (total) select n from generate_series(1, 1000) n');
  await erp.query(
    "create table setting (key text primary key, value text); insert into setting values ('users', 'open')",
  );
  return {
    access,
    folder,
    session,
    step: (key) => createTestStep(key),
    [Symbol.asyncDispose]: async () => {
      for (const { name } of await listLocalMachines({ root }))
        await destroyLocalMachine({ root, name, force: true }, signal);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function createTestStep(key: string): Step {
  const notes: Awaited<ReturnType<Step['notes']['read']>> = [];
  return {
    key,
    signal,
    onProgress: () => {},
    notes: { read: async () => notes, write: async (note) => void notes.push(note) },
  };
}

const siteText = `
name: test
machines:
  root: machines
database:
  businessCounts:
    - name: orders
      sql: select count(*) as n, sum(total) as total from orders
archive:
  location: archive
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
