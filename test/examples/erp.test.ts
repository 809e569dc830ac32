import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installErp } from '../../examples/erp/install.ts';
import { loadErp } from '../../examples/erp/load.ts';
import { compareOrders, sendReferenceTwice, startWriter } from '../../examples/erp/writer.ts';
import type { Guest } from '../../src/guest/guest.ts';
import { applyKit, type KitReport } from '../../src/kit/apply/apply.ts';
import { checkKit } from '../../src/kit/check.ts';
import { fetchKit } from '../../src/kit/fetch.ts';
import { loadSite } from '../../src/site/load.ts';
import { failedNames, type SmokeReport } from '../../src/smoke/report.ts';
import { runSmoke } from '../../src/smoke/run.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';
import { createTestMachine, type TestMachine } from '../support/machine.ts';

const example = fileURLToPath(new URL('../../examples/erp/', import.meta.url));
const { signal } = new AbortController();
let cluster: TestCluster;
let work: string;
let databases = 0;
let loaded = 0;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'clona-erp-'));
  cluster = await createTestCluster();
  await using connection = await cluster.connect();
  await connection.query('CREATE DATABASE erp');
  loaded = (await loadErp({ ...cluster.address, database: 'erp' })).rows;
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(work, { recursive: true, force: true });
});

interface Erp extends AsyncDisposable {
  machine: TestMachine;
  guest: Guest;
  database: string;
  address: TestCluster['address'];
  install: (version: string) => Promise<KitReport>;
  smoke: (role?: 'live' | 'staging') => Promise<SmokeReport>;
  version: () => Promise<string>;
}

/** A machine of its own with the program 1.9 and a copy of the loaded database. */
async function createErp(): Promise<Erp> {
  databases += 1;
  const database = `erp${databases}`;
  {
    await using connection = await cluster.connect();
    await connection.query(`CREATE DATABASE ${database} TEMPLATE erp`);
  }
  const machine = await createTestMachine({ role: 'staging' });
  const guest = await machine.openGuest();
  const { systemDisk, dataDisk, guest: guestAddress } = machine.facts;
  await installErp(guest, systemDisk, signal);
  const address = { ...cluster.address, database };
  return {
    machine,
    guest,
    database,
    address,
    install: async (version) => {
      const source = join(example, 'kits', version);
      const kit = await fetchKit({ source, into: join(work, `${database}-${version}`), signal });
      const place = { systemDisk, dataDisk };
      return applyKit({ kit, guest, place, database: address, onRecord: async () => {}, signal });
    },
    smoke: async (role = 'staging') => {
      const directory = join(example, 'smoke');
      const facts = {
        name: machine.facts.name,
        role,
        systemDisk,
        dataDisk,
        guest: guestAddress,
        httpBase: null,
      };
      return runSmoke({ directory, machine: { ...facts, database: address }, signal });
    },
    version: async () => (await guest.readFile(`${systemDisk}/VERSION`, signal)).toString().trim(),
    [Symbol.asyncDispose]: async () => {
      await guest[Symbol.asyncDispose]();
      await machine[Symbol.asyncDispose]();
    },
  };
}

async function queryOn(database: string, text: string): Promise<Record<string, unknown>[]> {
  await using connection = await cluster.connect(database);
  return await connection.query(text);
}

describe('the sample ERP', () => {
  test('has more than 200,000 rows', () => {
    expect(loaded).toBeGreaterThan(200_000);
  });

  test('1.9 passes its smoke tests, by department, and nothing of them stays', async () => {
    await using erp = await createErp();
    const before = await queryOn(erp.database, 'SELECT count(*) FROM erp.sales_order');
    const report = await erp.smoke();
    expect(failedNames(report)).toEqual([]);
    expect(report.departments.map(({ name }) => name)).toEqual([
      'accounting',
      'general',
      'payroll',
      'sales',
      'warehouse',
    ]);
    expect(await queryOn(erp.database, 'SELECT count(*) FROM erp.sales_order')).toEqual(before);
  });

  test('kit 2.0 installs without an error, and accounting finds that the books are wrong', async () => {
    await using erp = await createErp();
    const report = await erp.install('2.0');
    expect(report).toMatchObject({ outcome: 'succeeded', versionBefore: '1.9', versionAfter: '2.0' });
    const smoke = await erp.smoke();
    expect(failedNames(smoke)).toEqual([
      'accounting: in every entry debit and credit are the same',
      'accounting: debit and credit are the same in all',
      'accounting: every invoice is in the books with its gross amount',
      'accounting: the VAT of an invoice is the sum of its lines',
    ]);
  });

  test('kit 2.1 installs, passes on staging and LIVE, and orders go on; 2.2 and 2.3 follow it', async () => {
    await using erp = await createErp();
    expect(await erp.install('2.1')).toMatchObject({ outcome: 'succeeded', versionAfter: '2.1' });
    expect(failedNames(await erp.smoke())).toEqual([]);
    const live = await erp.smoke('live');
    expect(live).toMatchObject({ failed: 0, skipped: 1 });
    await using writer = await startWriter({
      address: erp.address,
      journal: join(work, 'after21'),
      everyMs: 0,
    });
    await writer.confirmed(5, signal);
    await writer.pause();
    expect(
      await queryOn(erp.database, 'SELECT count(*)::int AS n FROM erp.invoice WHERE due_on = issued_on + 30'),
    ).toEqual([{ n: 20_000 + writer.committed }]);
    expect(await erp.install('2.2')).toMatchObject({ outcome: 'succeeded' });
    expect(failedNames(await erp.smoke())).toEqual([]);
    expect(await erp.install('2.3')).toMatchObject({ outcome: 'succeeded', versionAfter: '2.3' });
    expect(failedNames(await erp.smoke())).toEqual([]);
  });

  test('kit 2.2 breaks where a customer has sent a reference twice, after files were changed already', async () => {
    await using erp = await createErp();
    await erp.install('2.1');
    await sendReferenceTwice(erp.address);
    const report = await erp.install('2.2');
    expect(report).toMatchObject({
      outcome: 'failed',
      failedStep: 'references are unique',
      versionAfter: '2.1',
    });
    expect(report.failure).toContain('could not create unique index "sales_order_reference_unique"');
    expect(report.steps[3]?.output).toContain(
      'Key (customer_id, customer_reference)=(4711, PO sent twice) is duplicated.',
    );
    const program = await erp.guest.readFile(`${erp.machine.facts.systemDisk}/program/RELEASE`, signal);
    expect(program.toString()).toBe('2.2\n');
    expect(await erp.version()).toBe('2.1');
  });

  test('a kit that jumps over a version is refused', async () => {
    await using erp = await createErp();
    await expect(erp.install('2.3')).rejects.toMatchObject({ kind: 'kitUnfit', details: { current: '1.9' } });
  });

  test('every kit is in order', async () => {
    for (const version of ['2.0', '2.1', '2.2', '2.3']) {
      const { ok, problems, manifest } = await checkKit(join(example, 'kits', version), signal);
      expect({ ok, problems, version: manifest?.version }).toEqual({ ok: true, problems: [], version });
      expect(await readFile(join(example, 'kits', version, 'program/RELEASE'), 'utf8')).toBe(`${version}\n`);
    }
  });
});

describe('the writer', () => {
  test('keeps a journal of confirmed orders that outlives crashes of the server, and loses and doubles none', async () => {
    await queryOn('postgres', 'CREATE DATABASE crash TEMPLATE erp');
    const journal = join(work, 'crash');
    const address = { ...cluster.address, database: 'crash' };
    await using writer = await startWriter({ address, journal, everyMs: 0 });
    await writer.confirmed(30, signal);
    await cluster.stop('immediate');
    await cluster.start();
    await writer.confirmed(30, signal);
    await writer.pause();
    expect(writer.reconnects).toBeGreaterThan(0);
    const found = await compareOrders(address, journal);
    expect(found).toEqual({ ordersCommitted: writer.committed, ordersFound: writer.committed, lost: [] });
    const orders = await queryOn(
      'crash',
      'SELECT count(*)::int AS n, count(DISTINCT order_no)::int AS different FROM erp.sales_order',
    );
    expect(orders).toEqual([{ n: 20_000 + writer.committed, different: 20_000 + writer.committed }]);
    await queryOn('crash', "DELETE FROM erp.sales_order WHERE customer_reference LIKE 'WEB-%'");
    expect((await compareOrders(address, journal)).ordersFound).toBe(0);
  });

  test('is refused while the ERP is closed for users, and goes on when it opens', async () => {
    await queryOn('postgres', 'CREATE DATABASE closing TEMPLATE erp');
    const address = { ...cluster.address, database: 'closing' };
    await using writer = await startWriter({ address, journal: join(work, 'closing'), everyMs: 0 });
    await writer.confirmed(3, signal);
    await queryOn('closing', "UPDATE erp.setting SET value = 'closed' WHERE key = 'users'");
    const atClosing = await queryOn('closing', 'SELECT count(*) FROM erp.sales_order');
    await expect.poll(() => writer.refused).toBeGreaterThan(1);
    expect(await queryOn('closing', 'SELECT count(*) FROM erp.sales_order')).toEqual(atClosing);
    await queryOn('closing', "UPDATE erp.setting SET value = 'open' WHERE key = 'users'");
    await writer.confirmed(3, signal);
    expect(writer.lastError).toBeUndefined();
  });
});

test('the site file loads, its counts count, and every way out is open before its fence and shut after it', async () => {
  const site = await loadSite(join(example, 'clona.yaml'));
  await queryOn('postgres', 'CREATE DATABASE fenced TEMPLATE erp');
  for (const { sql } of site.database.businessCounts) {
    const [row, ...more] = await queryOn('fenced', sql);
    expect(more).toEqual([]);
    expect(
      Object.values(row ?? {})
        .map(Number)
        .every((number) => number > 0),
    ).toBe(true);
  }
  for (const { name, sql, check } of site.staging.fence) {
    const answer = async () => Object.values((await queryOn('fenced', check))[0] ?? {});
    expect({ name, shut: await answer() }).toEqual({ name, shut: [false] });
    await queryOn('fenced', sql);
    expect({ name, shut: await answer() }).toEqual({ name, shut: [true] });
  }
});

test('masking leaves no name, mail, number or account of a person', async () => {
  await queryOn('postgres', 'CREATE DATABASE masked TEMPLATE erp');
  await queryOn('masked', await readFile(join(example, 'masking/people.sql'), 'utf8'));
  const left = await queryOn(
    'masked',
    `SELECT count(*)::int AS n FROM (
       SELECT name || email || phone || iban AS text FROM erp.customer UNION ALL
       SELECT full_name || tax_number || iban FROM erp.employee UNION ALL
       SELECT full_name || email || password_hash FROM erp.app_user UNION ALL
       SELECT recipient FROM erp.mail_outbox UNION ALL SELECT iban FROM erp.payment_order) AS people
     WHERE text ~ 'BA3|\\+387|customer[0-9]+\\.example|erp\\.example|Employee [0-9]|User Number'`,
  );
  expect(left).toEqual([{ n: 0 }]);
});
