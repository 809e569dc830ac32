import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { verb } from '../../src/cli/prove.ts';
import type { VerbResult } from '../../src/cli/verb.ts';
import { openSite } from '../../src/pipeline/open-site.ts';
import { ClonaError } from '../../src/errors.ts';
import { installTools } from '../oracle-sim/machine/tools.ts';
import { createHostGuest } from '../support/host-guest.ts';
import { makeTestFolder } from '../support/machine.ts';
import { startOpenSsh, whyNoOpenSsh } from '../support/openssh.ts';
import { openPumpWorld, type PumpWorld } from '../support/oracle-pump.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

const noSsh = whyNoOpenSsh();
let folder: string;
let dumps: string;
let world: PumpWorld;
const site = (): string => join(folder, 'clona.yaml');

beforeAll(async () => {
  folder = await makeTestFolder();
  dumps = join(folder, 'dumps');
  await mkdir(join(folder, 'archive'));
  world = await openPumpWorld(folder, new AbortController().signal);
  world.pump.directories.set('DUMPS', dumps);
  const { host, port, user, password } = world.sim;
  await writeFile(join(folder, 'password'), `${password}\n`);
  await writeFile(join(folder, 'dump-password'), 'Dump_S3cret\n');
  await writeFile(
    site(),
    `name: erp
database:
  engine: oracle
  host: ${host}
  port: ${port}
  name: ERP
  user: ${user}
  password: file:password
  oracle:
    import:
      schemas: [erp]
      directory: DUMPS
      folder: dumps
      tablespaces: { ERP: USERS }
      defaultTablespace: USERS
      encryptionPassword: file:dump-password
      compareWithLive: true
archive:
  location: archive
  retention: { redundancy: 1, windowDays: 0 }
`,
  );
}, 180_000);
beforeEach(async () => {
  world.pump.faults = {};
  await rm(dumps, { recursive: true, force: true });
  await mkdir(dumps);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function prove(sitePath = site()): Promise<VerbResult> {
  const context = {
    signal: AbortSignal.timeout(150_000),
    json: true,
    yes: false,
    verbose: false,
    sitePath,
    onProgress: () => {},
    note: () => {},
  };
  return verb.run(context, { import: true }, []);
}

test('prove --import takes the newest export by proof, imports it, and puts it on record', async () => {
  await world.exportErp({ files: ['mon.dmp'] });
  await rename(join(dumps, 'erp.log'), join(dumps, 'mon.log'));
  await utimes(join(dumps, 'mon.dmp'), new Date(), new Date(Date.now() + 86_400_000));
  await world.exportErp({ files: ['tue01.dmp', 'tue02.dmp'], password: 'Dump_S3cret' });
  await rename(join(dumps, 'erp.log'), join(dumps, 'tue.log'));
  await world.exportErp({ files: ['wed.dmp'] });
  const whole = await readFile(join(dumps, 'erp.log'), 'utf8');
  await writeFile(join(dumps, 'wed.log'), whole.slice(0, whole.length / 2));
  await rm(join(dumps, 'erp.log'));

  const { json, human, exitCode } = await prove();
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({
    report: {
      passed: true,
      dump: { files: ['tue01.dmp', 'tue02.dmp'] },
      rows: '4',
      schemas: [{ clone: 'CLONA_ERP' }],
    },
  });
  expect(human).toContain('proven to grade 4: ERP as CLONA_ERP');
  expect(human).toMatch(/passed over: .*wed\.log: its log is incomplete/);
  expect(human).toMatch(/passed over: .*mon\.log: an older one/);

  world.pump.faults = { loseRows: { table: 'ORDERS', rows: 1 } };
  const again = await prove();
  world.pump.faults = {};
  expect(again.exitCode).toBe(4);
  expect(again.human).toContain('failed: ORDERS exported with 3 rows, the copy has 2');

  world.pump.faults = { failTable: { table: 'ORDERS', errors: ['ORA-01653: unable to extend table'] } };
  await expect(prove()).rejects.toMatchObject({ kind: 'diskFull', exitCode: 6 });
  world.pump.faults = {};

  await using opened = await openSite(site(), AbortSignal.timeout(20_000));
  const records = await opened.ledger.list({ kinds: ['archive.imported'] });
  expect(records.slice(-3).map(({ payload }) => payload)).toMatchObject([
    { grade: 4, passed: true },
    { grade: 2, passed: false },
    { grade: 2, passed: false, error: { code: 'CLONA-0310' } },
  ]);
  expect(JSON.stringify(records)).not.toContain('Dump_S3cret');
}, 180_000);

test('prove --import says why no export can be proven', async () => {
  await world.exportErp();
  await rm(join(dumps, 'erp.log'));
  await expect(prove()).rejects.toMatchObject({
    kind: 'archiveAbsent',
    exitCode: 5,
    message: expect.stringContaining('no log of its export is beside it'),
  });
}, 180_000);

test.skipIf(noSsh !== undefined)(
  `prove --import has imp on the machine import a dump of the original exp, over SSH${noSsh === undefined ? '' : ` (${noSsh})`}`,
  async () => {
    await using ssh = await startOpenSsh();
    await using tools = await installTools(world.sim.server, folder);
    const { endpoint, user, privateKeyFile, hostKey } = ssh.address;
    const port = endpoint.kind === 'tcp' ? endpoint.port : 0;
    const guest = `guest: { user: ${user}, privateKey: 'file:${privateKeyFile}', hostKey: '${hostKey}', port: ${port} }\n`;
    const text = (await readFile(site(), 'utf8')).replace(
      '  oracle:\n',
      `  oracle:\n    home: '${tools.home}'\n`,
    );
    const other = join(folder, 'with-guest.yaml');
    await writeFile(other, `${guest}${text}`);
    const argv = [
      '/ as sysdba',
      'owner=erp',
      `file=${join(dumps, 'old.dmp')}`,
      `log=${join(dumps, 'old.log')}`,
    ];
    await createHostGuest(folder).run([join(tools.bin, 'exp'), ...argv], {
      signal: AbortSignal.timeout(20_000),
    });
    expect((await prove(other)).json).toMatchObject({
      report: { passed: true, dump: { files: ['old.dmp'] }, rows: '4', importVerdict: 'ok' },
    });
    await expect(prove()).rejects.toMatchObject({ kind: 'archiveAbsent' });
  },
  180_000,
);

test('prove --import goes alone', async () => {
  const run = async () =>
    verb.run({ ...({} as Parameters<typeof verb.run>[0]) }, { import: true, archive: 'x' }, []);
  await expect(run()).rejects.toThrow(ClonaError);
});
