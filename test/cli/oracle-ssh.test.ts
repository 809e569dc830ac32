import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verb as backupVerb } from '../../src/cli/backup.ts';
import { verb as catalogVerb } from '../../src/cli/catalog.ts';
import { verb as proveVerb } from '../../src/cli/prove.ts';
import { verb as restoreVerb } from '../../src/cli/restore.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from '../../src/cli/verb.ts';
import { connectOracle } from '../../src/databases/oracle/connect.ts';
import { installTools, type Tools } from '../oracle-sim/machine/tools.ts';
import { pumpOf } from '../oracle-sim/pump/state.ts';
import { startOracleSim, type OracleSim } from '../oracle-sim/server.ts';
import type { GuestUnderTest } from '../contracts/guest.ts';
import { makeTestFolder } from '../support/machine.ts';
import { startOpenSsh, whyNoOpenSsh } from '../support/openssh.ts';

// Real SSH; driver-verified, not Oracle-verified: the server and its programs are those of test/oracle-sim.

const { signal } = new AbortController();
const noSsh = whyNoOpenSsh();

describe.skipIf(noSsh !== undefined)(
  `an Oracle site over SSH${noSsh === undefined ? '' : ` (${noSsh})`}`,
  () => {
    let folder: string;
    let name: string;
    let ssh: GuestUnderTest;
    let live: OracleSim;
    let clone: OracleSim;
    let tools: Tools[];

    beforeEach(async () => {
      folder = await makeTestFolder();
      name = `t${process.pid}-${Date.now().toString(36)}`;
      await mkdir(join(folder, 'archive'));
      ssh = await startOpenSsh();
      let clock = Date.parse('2026-03-01T10:00:00Z');
      const now = (): number => (clock += 1000);
      const recoveryArea = join(folder, 'archive/area');
      live = await startOracleSim({
        instance: { now, storage: { folder: join(folder, 'live'), recoveryArea } },
      });
      clone = await startOracleSim({
        instance: { now, storage: { folder: join(folder, 'clone'), create: false } },
      });
      tools = [
        await installTools(live.server, join(folder, 'live')),
        await installTools(clone.server, join(folder, 'clone')),
      ];
      const { endpoint, user, privateKeyFile, hostKey } = ssh.address;
      await writeFile(join(folder, 'password'), live.password);
      await writeFile(join(folder, 'live/orapwERP'), 'hashes');
      await mkdir(join(tools[1]!.home, 'dbs'), { recursive: true });
      await writeFile(
        join(folder, 'clona.yaml'),
        `name: ${name}
guest: { user: ${user}, privateKey: 'file:${privateKeyFile}', hostKey: '${hostKey}', port: ${endpoint.kind === 'tcp' ? endpoint.port : 0} }
database:
  engine: oracle
  host: localhost
  port: ${live.port}
  name: ERP
  user: ${live.user}
  password: file:password
  oracle: { timeZone: UTC, home: '${tools[0]!.home}', keep: { passwordFile: '${join(folder, 'live/orapwERP')}' }, export: { directory: DUMPS, schemas: [CLONA] } }
archive: { location: archive, acceptSharedDisk: a test, retention: { redundancy: 1, windowDays: 0 } }
`,
      );
    });

    afterEach(async () => {
      for (const one of [...tools, live, clone, ssh]) await one[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
      for (const left of await readdir('/var/tmp')) {
        if (left.startsWith(`clona-${name}-`))
          await rm(join('/var/tmp', left), { recursive: true, force: true });
      }
    });

    async function run(verb: Verb, options: OptionValues): Promise<VerbResult> {
      const context: VerbContext = {
        signal,
        json: true,
        yes: false,
        verbose: false,
        sitePath: join(folder, 'clona.yaml'),
        onProgress: () => {},
        note: () => {},
      };
      return verb.run(context, options, []);
    }

    async function execute(sql: string): Promise<void> {
      const { port, user, password } = live;
      await using session = await connectOracle(
        { engine: 'oracle', host: 'localhost', port, database: 'ERP', user, password },
        signal,
      );
      await session.execute(sql);
      await session.driver.commit();
    }

    test('is backed up hot and by RMAN, cataloged, and restored into a clone with a DBID of its own', async () => {
      await execute('CREATE TABLE orders (id NUMBER)');
      await execute('INSERT INTO orders VALUES (1)');
      expect((await run(backupVerb, { kind: 'hot', label: 'first' })).json).toMatchObject({
        label: 'first',
        kind: 'hot',
        state: 'available',
      });
      const quiet = {
        label: 'second',
        kind: 'quiesced',
        keptLogs: expect.any(Number),
        pauseMs: expect.any(Number),
      };
      expect((await run(backupVerb, { kind: 'quiesced', label: 'second' })).json).toMatchObject(quiet);
      pumpOf(live.instance).directories.set('DUMPS', join(folder, 'archive'));
      const exported = { label: 'third', kind: 'export', jobLog: { verdict: 'ok', errors: [] } };
      expect((await run(backupVerb, { kind: 'export', label: 'third' })).json).toMatchObject(exported);
      expect((await run(backupVerb, { kind: 'managed' })).json).toMatchObject({
        label: expect.stringMatching(/^TAG\d{8}T\d{6}$/),
        jobLog: { verdict: 'ok', errors: [] },
        kept: [{ role: 'parameters' }, { role: 'passwordFile' }],
      });
      await execute('INSERT INTO orders VALUES (2)');
      await execute('ALTER SYSTEM ARCHIVE LOG CURRENT');
      expect(await run(proveVerb, {})).toMatchObject({ json: { grade: 2, passed: true }, exitCode: 0 });
      const { json } = await run(catalogVerb, {});
      expect(json).toMatchObject({
        engine: 'oracle',
        backups: [
          { label: 'first', kind: 'hot' },
          { label: 'second', kind: 'quiesced' },
          { label: 'third', kind: 'export', grade: 2 },
          { kind: 'managed', grade: 2 },
        ],
      });
      const options = {
        guest: '127.0.0.1',
        oracleHome: tools[1]!.home,
        to: join(folder, 'clone/data'),
        recoveryDir: join(folder, 'clone/fra'),
        catalogFrom: [join(folder, 'archive/area')],
        name: 'CLONAERP',
        until: 'latest',
      };
      const dry = await run(restoreVerb, { ...options, dryRun: true });
      expect(dry.json).toMatchObject({
        dryRun: true,
        refused: null,
        clone: { version: '19.21.0.0.0', running: null, memoryBytes: expect.any(Number) },
        parameters: expect.arrayContaining([
          expect.objectContaining({ name: 'db_block_size', verdict: 'carried' }),
        ]),
      });
      expect(dry.human).toMatch(/space: .* free/);
      const restored = await run(restoreVerb, options);
      expect(restored.json).toMatchObject({
        name: 'CLONAERP',
        restricted: false,
        grade: 3,
        fence: { fenced: true },
        placed: [join(tools[1]!.home, 'dbs/orapwCLONAERP')],
        evidence: expect.stringMatching(/^restore-/),
      });
      const { port, password } = clone;
      const sys = {
        engine: 'oracle',
        host: 'localhost',
        port,
        database: 'ERP',
        user: 'SYS',
        password,
      } as const;
      await using session = await connectOracle({ ...sys, oracle: { privilege: 'sysdba' } }, signal);
      expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['3']]);
    }, 300_000);
  },
);
