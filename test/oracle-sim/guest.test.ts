import { chown, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createOracleDatabase,
  installOracle,
  layOracleSoftware,
  listenerPort,
  type OracleSoftware,
} from '../../scripts/demo/oracle/guest.ts';
import { canRunGuests } from '../../scripts/demo/vsphere/guest-process.ts';
import { openGuestHost, type GuestHost } from '../../scripts/demo/vsphere/guests.ts';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { connectOracle } from '../../src/databases/oracle/connect.ts';
import { runSqlPlus, type OracleTools } from '../../src/databases/oracle/guest-tools.ts';
import { restoreOracle } from '../../src/databases/oracle/restore.ts';
import { readOracleCatalog } from '../../src/databases/oracle/site-catalog.ts';
import { takeRmanBackup } from '../../src/databases/oracle/take-backup.ts';
import type { Guest } from '../../src/guest/guest.ts';
import { openGuest } from '../../src/guest/open.ts';
import { openTcpBridge } from '../../src/guest/tcp-bridge.ts';
import { silent } from '../../src/progress.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { makeTestFolder } from '../support/machine.ts';

const possible = await canRunGuests();
const { signal } = new AbortController();
const password = 'Sim_pa55';

describe.skipIf(!possible)('a machine with the simulated Oracle, entered by SSH', () => {
  let folder: string;
  let host: GuestHost;
  let software: OracleSoftware;
  let archive: string;

  beforeAll(async () => {
    folder = await makeTestFolder();
    archive = join(folder, 'archive');
    software = await layOracleSoftware(join(folder, 'host'));
    host = await openGuestHost(join(folder, 'host'), software.options);
    await mkdir(archive);
    await chown(archive, host.uid, host.uid);
    await make('live', true);
    await using guest = await enter('live');
    const wanted = {
      sid: 'ERP',
      databaseName: 'ERP',
      folder: host.dataDisk,
      recoveryArea: archive,
      tablespaces: ['USERS', 'ERP'],
      users: [{ name: 'CLONA', password, grants: ['DBA', 'CREATE SESSION'] }],
      startsAtBoot: false,
    };
    await createOracleDatabase(guest, software.home, wanted, signal);
    await onLive('CREATE TABLE orders (id NUMBER)');
  }, 120_000);

  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function make(name: string, isLive = false): Promise<void> {
    await host.create(name);
    const [systemDisk, data] = [host.disk(name, 'system'), host.dataDisk];
    await installOracle(software, {
      hostName: name,
      systemDisk,
      dataPath: data,
      uid: host.uid,
      sysPassword: password,
    });
    await boot(name, isLive);
  }

  async function boot(name: string, isLive: boolean): Promise<void> {
    const mounts = isLive ? [] : [{ from: archive, to: archive, readOnly: true }];
    await host.powerOn(name, ['00:50:56:00:00:01'], { mounts, serves: isLive });
  }

  async function enter(name: string): Promise<Guest> {
    const { port, user, privateKeyFile } = host;
    const endpoint = { kind: 'tcp', host: host.address(name), port } as const;
    return openGuest(
      { endpoint, user, privateKeyFile, hostKey: await host.hostKey(name), platform: 'linux' },
      signal,
    );
  }

  const toolsIn = (guest: Guest, instanceName: string): OracleTools => ({
    guest,
    home: software.home,
    instanceName,
    workDir: join(host.dataDisk, 'work'),
    signal,
  });

  /** As people at work reach it: by its own address, at the listener's port. */
  const address = (): DatabaseAddress => ({
    engine: 'oracle',
    host: host.address('live'),
    port: listenerPort,
    database: 'ERP',
    user: 'CLONA',
    password,
  });

  async function onLive(...statements: string[]): Promise<void> {
    await using session = await connectOracle(address(), signal);
    for (const sql of statements) await session.execute(sql);
    await session.driver.commit();
  }

  async function sumOnLive(): Promise<string | null | undefined> {
    await using session = await connectOracle(address(), signal);
    return (await session.query('SELECT SUM(id) FROM clona.orders'))[0]?.[0];
  }

  async function sqlPlus(name: string, instance: string, script: string): Promise<string> {
    await using guest = await enter(name);
    await guest.run(['mkdir', '-p', join(host.dataDisk, 'work')], { signal });
    return (await runSqlPlus(toolsIn(guest, instance), 'script', `CONNECT / AS SYSDBA\n${script}\nEXIT\n`))
      .text;
  }

  let tries = 0;

  test('is backed up by RMAN, and another machine restores it from the archive that it can only read', async () => {
    tries += 1;
    const [staging, late] = [`staging${tries}`, `LATE${tries}`];
    await onLive('DELETE FROM orders', 'INSERT INTO orders VALUES (1)');
    {
      await using guest = await enter('live');
      await takeRmanBackup(toolsIn(guest, 'ERP'), {
        kind: 'managed',
        level: null,
        channels: 1,
        compressed: false,
      });
    }
    await onLive(
      'INSERT INTO orders VALUES (2)',
      `CREATE USER ${late} IDENTIFIED BY x`,
      'ALTER SYSTEM ARCHIVE LOG CURRENT',
    );
    await make(staging);
    await using guest = await enter(staging);
    expect((await guest.run(['touch', join(archive, 'mine')], { signal })).stderr).toContain('Read-only');
    expect((await guest.run(['ls', host.disk('live', 'data')], { signal })).exitCode).not.toBe(0);
    const { catalog, facts } = await readOracleCatalog(
      address(),
      { archiveDir: join(folder, 'memory') },
      signal,
    );
    const plan = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'online-log' });
    const target = {
      platform: 'linux',
      databaseName: 'CLONAERP',
      instanceName: 'CLONAERP',
      dataDir: join(host.dataDisk, 'oradata'),
      recoveryDir: join(host.dataDisk, 'recovery'),
      recoveryBytes: 1_000_000_000,
      archiveDirs: [`${archive}/`],
      channels: 1,
    } as const;
    const tools = toolsIn(guest, 'CLONAERP');
    const until = { kind: 'scn', scn: plan.redoTo! } as const; // it is reachable
    await restoreOracle({ plan, catalog, facts, target, tools, until, onProgress: silent });
    await using bridge = await openTcpBridge(
      async () => guest,
      { host: '127.0.0.1', port: listenerPort },
      signal,
    );
    const own = { ...address(), ...bridge, database: 'CLONAERP', user: 'SYS' };
    // It is restricted until its fence stands: the listener hands nobody over who does not say that he knows.
    const sysdba = { privilege: 'sysdba' } as const;
    await expect(connectOracle({ ...own, oracle: sysdba }, signal)).rejects.toThrow('refused');
    await using session = await connectOracle(
      { ...own, oracle: { ...sysdba, evenRestricted: true } },
      signal,
    );
    expect(await session.query('SELECT SUM(id) FROM clona.orders')).toEqual([['3']]);
    expect(await session.query(`SELECT username FROM dba_users WHERE username = '${late}'`)).toEqual([
      [late],
    ]);
    expect(await session.query('SELECT name FROM v$database')).toEqual([['CLONAERP']]);
  }, 120_000);

  test('that is killed, and started again, has what was committed', async () => {
    await onLive('DELETE FROM orders', 'INSERT INTO orders VALUES (5)');
    await using busy = await connectOracle(address(), signal);
    await busy.execute('INSERT INTO orders VALUES (100)');
    {
      await using guest = await enter('live');
      await guest.runShell('kill -9 $(grep -l guest/main.ts /proc/[0-9]*/cmdline | cut -d/ -f3)', { signal });
    }
    await expect(onLive('SELECT 1 FROM DUAL')).rejects.toMatchObject({ kind: 'databaseFailed' });
    await host.powerOff('live');
    await boot('live', true);
    await expect(sumOnLive()).rejects.toMatchObject({ kind: 'databaseFailed' });
    expect(await sqlPlus('live', 'ERP', 'STARTUP')).toContain('Database opened.');
    expect(await sumOnLive()).toBe('5');
  }, 60_000);

  test('goes back to a snapshot taken at work, and a clone of the running machine is a database that nobody started', async () => {
    await onLive('DELETE FROM orders', 'INSERT INTO orders VALUES (7)');
    await host.snapshot('live', 'before');
    await onLive('INSERT INTO orders VALUES (70)');
    await host.create('copy', { name: 'live' });
    await boot('copy', false);
    expect(await sqlPlus('copy', 'ERP', 'SELECT STATUS FROM V$INSTANCE;')).toContain('ORA-01034');
    await sqlPlus('copy', 'ERP', 'STARTUP');
    expect(await sqlPlus('copy', 'ERP', 'SELECT SUM(id) FROM clona.orders;')).toMatch(/\b77\b/);
    await host.remove('copy');
    await host.revert('live', 'before');
    await boot('live', true);
    await sqlPlus('live', 'ERP', 'STARTUP');
    expect(await sumOnLive()).toBe('7');
    await host.removeSnapshot('live', 'before');
  }, 60_000);

  test('shuts down as dbshut does it: the files are clean', async () => {
    await host.shutDown('live');
    expect(await readFile(join(host.disk('live', 'data'), 'oradata/ERP/system01.dbf'), 'utf8')).toContain(
      '"fuzzy":false',
    );
    await boot('live', true);
    await sqlPlus('live', 'ERP', 'STARTUP');
  }, 60_000);
});
