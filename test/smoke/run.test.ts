import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XMLParser } from 'fast-xml-parser';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { canIsolateNetwork } from '../../src/machines/local/network.ts';
import type { SmokeMachine } from '../../src/smoke/machine.ts';
import { failedNames, toJUnit } from '../../src/smoke/report.ts';
import { requireSmoke, runSmoke, type SmokeOptions } from '../../src/smoke/run.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';
import { createTestMachine, type TestMachine } from '../support/machine.ts';

const never = new AbortController().signal;
const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
const { possible: isolates } = await canIsolateNetwork();
let cluster: TestCluster;
let staging: TestMachine;
let work: string;

beforeAll(async () => {
  cluster = await createTestCluster({ password: 'very secret word' });
  staging = await createTestMachine({ role: 'staging' });
  await using connection = await cluster.connect();
  await connection.query('CREATE TABLE item AS SELECT g AS id FROM generate_series(1, 30000) g');
});
afterAll(async () => {
  await staging[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'clona-smoke-test-'));
});
afterEach(async () => {
  await rm(work, { recursive: true, force: true });
});

function machineUnderTest(more: Partial<SmokeMachine> = {}): SmokeMachine {
  const { name, guest, systemDisk, dataDisk } = staging.facts;
  const database = { ...cluster.address, password: 'very secret word' };
  return { name, role: 'staging', database, guest, systemDisk, dataDisk, httpBase: null, ...more };
}

async function smoke(files: Readonly<Record<string, string>>, more: Partial<SmokeOptions> = {}) {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(work, path)), { recursive: true });
    await writeFile(join(work, path), content);
  }
  return runSmoke({ directory: work, machine: machineUnderTest(), signal: never, ...more });
}

const head = "import { describe, expect, test } from 'clona/smoke';\n";

describe('smoke tests', () => {
  test('of both kinds run, are grouped by department, and each failure says why', async () => {
    const report = await smoke({
      'accounting/books.sql':
        '-- check: fits\n-- expect: value 30000\nSELECT count(*) FROM item;\n-- check: does not\n-- expect: no rows\nSELECT id FROM item ORDER BY id;\n-- check: broken\n-- expect: true\nSELECT nothing;\n-- check: after it\n-- expect: true\nSELECT true;',
      'sales/orders.smoke.ts': `${head}describe('orders', () => { test('are there', async ({ sql }) => { const id = 7; expect(await sql\`SELECT id FROM item WHERE id = \${id}\`).toEqual([{ id }]); }); });
test('are many', async ({ sql }) => { const [row] = await sql\`SELECT count(*)::int AS n FROM item\`; expect(row?.n).toBe(5); });
test.skip('are few', () => {});\n`,
      'helper.ts': 'export const unused = 1;\n',
      'top.sql': '-- department: warehouse\n\n-- expect: at least 1 row\nSELECT 1;\n',
    });
    const brief = report.tests.map(({ department, name, state, kind }) => [department, name, state, kind]);
    expect(brief).toEqual([
      ['accounting', 'fits', 'passed', 'sql'],
      ['accounting', 'does not', 'failed', 'sql'],
      ['accounting', 'broken', 'failed', 'sql'],
      ['accounting', 'after it', 'passed', 'sql'],
      ['sales', 'orders > are there', 'passed', 'vitest'],
      ['sales', 'are many', 'failed', 'vitest'],
      ['sales', 'are few', 'skipped', 'vitest'],
      ['warehouse', 'line 4', 'passed', 'sql'],
    ]);
    expect(report).toMatchObject({ passed: 4, failed: 3, skipped: 1 });
    const details = report.tests.map(({ detail }) => detail ?? '');
    expect(details[1]).toBe(
      'line 6: expected no rows, found 10001\nid=1\nid=2\nid=3\n… more than 10000 rows',
    );
    expect(details[2]).toContain('line 9: the database says: column "nothing" does not exist');
    expect(details[5]).toContain('expected 30000 to be 5');
    expect(failedNames(report)).toEqual(['accounting: does not', 'accounting: broken', 'sales: are many']);
    expect(() => requireSmoke(report)).toThrow(
      '3 smoke tests failed on staging: accounting: does not; accounting: broken',
    );
    expect(JSON.stringify(report)).not.toContain('very secret word');
    const xml = new XMLParser({ ignoreAttributes: false }).parse(toJUnit(report)) as {
      testsuites: { '@_tests': string; testsuite: { '@_name': string; '@_failures': string }[] };
    };
    expect(xml.testsuites['@_tests']).toBe('8');
    expect(xml.testsuites.testsuite.map((suite) => [suite['@_name'], suite['@_failures']])).toEqual([
      ['accounting', '2'],
      ['sales', '1'],
      ['warehouse', '0'],
    ]);
  });

  test('write nothing: on staging what they write is undone, on LIVE it is refused', async () => {
    const files = {
      'w.smoke.ts': `${head}test('writes', async ({ sql }) => { await sql\`DELETE FROM item\`; expect((await sql\`SELECT FROM item\`).length).toBe(0); });
test('sees all of it', async ({ sql }) => { expect((await sql\`SELECT FROM item\`).length).toBe(30000); });\n`,
      'w.sql':
        '-- check: writes too\n-- expect: no rows\nWITH gone AS (DELETE FROM item RETURNING id) SELECT * FROM gone;',
    };
    const onStaging = await smoke(files);
    expect(failedNames(onStaging)).toEqual(['general: writes too']);
    const onLive = await smoke(files, { machine: machineUnderTest({ role: 'live' }) });
    expect(failedNames(onLive)).toEqual(['general: writes too', 'general: writes']);
    expect(onLive.tests[1]?.detail).toContain('cannot execute DELETE in a read-only transaction');
  });

  test('of LIVE show no rows of people in what they say', async () => {
    const files = { 'a.sql': "-- expect: no rows\nSELECT 'Amra' AS name" };
    expect((await smoke(files)).tests[0]?.detail).toContain('name=Amra');
    const live = await smoke(files, { machine: machineUnderTest({ role: 'live' }) });
    expect(live.tests[0]?.detail).toBe('line 2: expected no rows, found 1');
  });

  test('that cannot be read, hold nothing or break outside of a test are failures', async () => {
    const report = await smoke({
      'a/import.smoke.ts': "import './nothing-there.ts';\n",
      'a/empty.smoke.ts': 'export {};\n',
      'a/hook.smoke.ts': `import { beforeAll, test } from 'clona/smoke';\nbeforeAll(() => { throw new Error('no ground'); });\ntest('stands', () => {});\n`,
      'a/none.sql': '-- nothing\n',
      'a/open.sql': "SELECT 'open",
      'a/good.smoke.ts': `${head}test('good', () => expect(1).toBe(1));\n`,
    });
    expect(report.passed).toBe(1);
    const failed = report.tests.filter(({ state }) => state === 'failed').map(({ file }) => file);
    expect(new Set(failed)).toEqual(
      new Set(['a/import.smoke.ts', 'a/empty.smoke.ts', 'a/hook.smoke.ts', 'a/none.sql', 'a/open.sql']),
    );
  });

  test('have a hash that any change of the folder changes', async () => {
    const files = { 'a.sql': '-- expect: true\nSELECT true', 'helper.txt': 'one' };
    const first = await smoke(files);
    expect((await smoke(files)).checksHash).toBe(first.checksHash);
    expect((await smoke({ ...files, 'helper.txt': 'two' })).checksHash).not.toBe(first.checksHash);
  });

  test('of some departments only run when asked so', async () => {
    const files = { 'a/a.sql': '-- expect: true\nSELECT true', 'b/b.sql': '-- expect: true\nSELECT false' };
    expect(await smoke(files, { departments: ['a'] })).toMatchObject({ passed: 1, failed: 0 });
    await expect(smoke(files, { departments: ['c'] })).rejects.toMatchObject({ kind: 'usage' });
  });

  test('that do not end, end the run, and leave no process', async () => {
    const files = { 'a.smoke.ts': `${head}test('spins', () => { for (;;); });\n` };
    await expect(smoke(files, { timeoutMs: 3000 })).rejects.toThrow('did not end within 3 s');
    const slow = { 'a.smoke.ts': '', 'a.sql': '-- expect: true\nSELECT pg_sleep(60) IS NULL' };
    const stop = new AbortController();
    const stopped = smoke(slow, { signal: stop.signal });
    await using connection = await cluster.connect();
    await expect
      .poll(() =>
        connection.query(
          "SELECT FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND state = 'active' AND application_name = 'clona smoke'",
        ),
      )
      .toHaveLength(1);
    stop.abort(new Error('stopped by the test'));
    await expect(stopped).rejects.toThrow('stopped by the test');
  });

  test('that end their own process are told as such', async () => {
    const files = { 'a.smoke.ts': `${head}test('dies', () => { process.kill(process.pid, 'SIGKILL'); });\n` };
    await expect(smoke(files)).rejects.toMatchObject({ kind: 'smokeFailed' });
  });

  test('need tests, a folder and a database', async () => {
    await expect(smoke({})).rejects.toThrow('there are no smoke tests');
    await expect(smoke({}, { directory: join(work, 'none') })).rejects.toMatchObject({
      kind: 'fileUnreadable',
    });
    const database = { ...cluster.address, host: join(work, 'no-socket') };
    const machine = machineUnderTest({ database });
    await expect(smoke({ 'a.sql': '-- expect: true\nSELECT true' }, { machine })).rejects.toMatchObject({
      kind: 'databaseFailed',
    });
  });
});

describe('fixtures', () => {
  test('ssh runs commands in the guest, and its exit code is an answer', async () => {
    const report = await smoke({
      'a.smoke.ts': `${head}test('pwd', async ({ ssh, machine }) => { const { stdout, exitCode } = await ssh(['pwd']); expect(stdout.trim()).toBe(machine.systemDisk); expect(exitCode).toBe(0); });
test('false', async ({ ssh }) => { expect((await ssh(['false'])).exitCode).toBe(1); });\n`,
    });
    expect(failedNames(report)).toEqual([]);
  });

  test('ssh, http and tcp say what is missing when the machine has no guest', async () => {
    const files = {
      'a.smoke.ts': `${head}test('ssh', async ({ ssh }) => { await ssh(['pwd']); });\ntest('http', async ({ http }) => { await http('/x'); });\n`,
    };
    const report = await smoke(files, { machine: machineUnderTest({ guest: null }) });
    expect(report.tests.map(({ detail }) => detail)).toEqual([
      expect.stringContaining('has no guest') as string,
      expect.stringContaining('"/x" has no base') as string,
    ]);
  });

  test.skipIf(!isolates)('http and tcp go where the machine is, not where we are', async () => {
    const outside = createServer((_request, response) => response.end('outside'));
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
    const { port } = outside.address() as { port: number }; // it listens on TCP
    try {
      const report = await smoke(
        {
          'a.smoke.ts': `${head}test('http', async ({ http }) => { const { body } = await http('/'); expect(body).toBe('never'); });\n`,
        },
        { machine: machineUnderTest({ httpBase: `http://127.0.0.1:${port}` }) },
      );
      expect(report.tests[0]?.detail).toContain('cannot be reached inside the guest');
    } finally {
      outside.close();
    }
  });

  test('http asks a server inside the machine', async () => {
    // A program of the machine: it listens where only the machine's own network leads.
    await using guest = await staging.openGuest();
    const server = `require('http').createServer((q, r) => { let b = ''; q.on('data', (c) => b += c).on('end', () => { r.setHeader('x-said', b); r.end(JSON.stringify({ path: q.url, method: q.method, host: q.headers.host })); }); }).listen(0, '127.0.0.1', function () { require('fs').writeFileSync('port', String(this.address().port)); })`;
    const stop = new AbortController();
    const { stdout } = await guest.runShell('command -v node || true', { signal: never });
    const node = stdout.trim() === '' ? process.execPath : stdout.trim();
    const running = guest.run([node, '-e', server], { signal: stop.signal }).catch(() => undefined);
    const { systemDisk } = staging.facts;
    await expect.poll(async () => guest.list(systemDisk, never)).toContain('port');
    const port = (await guest.readFile(`${systemDisk}/port`, never)).toString();
    const report = await smoke(
      {
        'a.smoke.ts': `${head}test('post', async ({ http }) => { const answer = await http('/orders?x=1', { method: 'POST', body: 'hello' }); expect(answer.status).toBe(200); expect(answer.headers['x-said']).toBe('hello'); expect(answer.json()).toEqual({ path: '/orders?x=1', method: 'POST', host: '127.0.0.1:${port}' }); });
test('tcp', async ({ tcp }) => { const stream = await tcp({ port: ${port} }); stream.write('GET / HTTP/1.0\\r\\n\\r\\n'); let said = ''; for await (const chunk of stream) said += String(chunk); expect(said).toContain('200 OK'); });\n`,
      },
      { machine: machineUnderTest({ httpBase: `http://127.0.0.1:${port}` }) },
    );
    stop.abort();
    await running;
    expect(report.tests.map(({ detail }) => detail)).toEqual([null, null]);
  });
});

test('a machine that does not answer fails no test: that is said by itself', async () => {
  const guest = { ...staging.facts.guest, endpoint: { kind: 'tcp', host: '127.0.0.1', port: 1 } as const };
  const head = `import { expect, test } from 'clona/smoke';\n`;
  const asked = smoke(
    { 'a.smoke.ts': `${head}test('version', async ({ ssh }) => { await ssh(['true']); });` },
    { machine: machineUnderTest({ guest }) },
  );
  await expect(asked).rejects.toMatchObject({ kind: 'guestFailed', exitCode: 6 });
});

describe('clona smoke', () => {
  /** A site whose machine is a real one; its database is the test's. */
  async function runVerb(...args: string[]) {
    await writeFile(
      join(work, 'clona.yaml'),
      `name: erp
machines: { root: ${staging.root}, live: { name: live } }
archive: { location: archive }
departments: [{ name: sales }, { name: payroll }, { name: büro & höfe }]
`,
    );
    const site = ['--site', join(work, 'clona.yaml')];
    return spawnSync(process.execPath, [launcher, 'smoke', ...site, ...args], { encoding: 'utf8' });
  }

  test('says what is missing', async () => {
    expect((await runVerb('--machine', 'moon')).status).toBe(2);
    expect((await runVerb('--directory', join(work, 'none'))).status).toBe(2);
    await writeFile(join(work, 'a.sql'), '-- expect: true\nSELECT true');
    const dead = await runVerb('--directory', work, '--json');
    expect(dead.status).toBe(6);
    expect(JSON.parse(dead.stdout)).toMatchObject({ error: { code: 'CLONA-0401' } });
    expect((await runVerb('--machine', 'live')).status).toBe(6);
  });

  test('ends with 4, names tests by department, and writes JUnit', async () => {
    await mkdir(join(work, 'smoke/sales'), { recursive: true });
    await writeFile(
      join(work, 'smoke/sales/a.smoke.ts'),
      `${head}test('good', () => {});\ntest('bad', () => expect('<this>').toBe('that'));\n`,
    );
    // As some file systems give it back: ö is an o and a mark there.
    const apart = join(work, 'smoke', 'Büro & Höfe'.normalize('NFD'));
    await mkdir(apart, { recursive: true });
    await writeFile(join(apart, 'b.smoke.ts'), `${head}test('open', () => {});\n`);
    const junit = join(work, 'smoke.xml');
    const failed = await runVerb('--json', '--junit', junit);
    expect(failed.status).toBe(4);
    expect(JSON.parse(failed.stdout)).toMatchObject({
      ok: false,
      failedTests: ['sales: bad'],
      untested: ['payroll'],
      departments: [
        { name: 'Büro & Höfe', passed: 1, failed: 0, skipped: 0 },
        { name: 'sales', passed: 1, failed: 1, skipped: 0 },
      ],
    });
    expect(failed.stderr).toContain('no smoke test speaks for the department payroll');
    const xml = await readFile(junit, 'utf8');
    expect(xml).toContain('&lt;this&gt;');
    expect(xml).toContain('<testsuite name="Büro &amp; Höfe"');
    const one = await runVerb('--department', 'BÜRO & höfe', '--json');
    expect(JSON.parse(one.stdout)).toMatchObject({ passed: 1, failed: 0 });
    const human = await runVerb();
    expect(human.stdout).toContain('✖ sales: bad (sales/a.smoke.ts)');
    expect(human.stdout).toContain('2 passed, 1 failed, 0 skipped on staging');
  });
});
