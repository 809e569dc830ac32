import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectOracle } from '../../../src/databases/oracle/connect.ts';
import {
  applyOracleFence,
  requireOracleFence,
  testOracleFence,
} from '../../../src/databases/oracle/fence/fence.ts';
import { oracleFenceItems } from '../../../src/databases/oracle/fence/items.ts';
import { splitStatements } from '../../../src/databases/oracle/fence/statements.ts';
import { setParameter } from '../../../src/databases/oracle/fence/item.ts';
import { silent } from '../../../src/progress.ts';
import { outletsOf, runDueJobs } from '../../oracle-sim/instance/outlets.ts';
import { startUp, stop } from '../../oracle-sim/instance/startup.ts';
import { startOracleSim, type OracleSim } from '../../oracle-sim/server.ts';
import { makeTestFolder } from '../../support/machine.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

const { signal } = new AbortController();

/** What each view shows in a clone that is fenced. */
function fenced(): Record<string, Record<string, string | number | null>[]> {
  const parameters: Record<string, string | null> = {
    dg_broker_start: 'FALSE',
    fal_server: null,
    log_archive_duplex_dest: null,
    job_queue_processes: '0',
    aq_tm_processes: '0',
    open_links: '0',
    open_links_per_instance: '0',
    smtp_out_server: null,
    remote_listener: null,
    listener_networks: null,
    enable_goldengate_replication: 'FALSE',
  };
  return {
    V$PARAMETER: Object.entries(parameters).map(([NAME, VALUE]) => ({ NAME, VALUE })),
    V$ARCHIVE_DEST: [
      { DEST_ID: 1, STATUS: 'VALID', TARGET: 'PRIMARY', DESTINATION: 'USE_DB_RECOVERY_FILE_DEST' },
      { DEST_ID: 2, STATUS: 'INACTIVE', TARGET: 'PRIMARY', DESTINATION: null },
    ],
    V$DATABASE: [{ DB_UNIQUE_NAME: 'CLONAERP', CDB: 'NO' }],
    V$ACTIVE_SERVICES: ['SYS$USERS', 'CLONAERP', 'clonaerpXDB', 'clonaerp.example'].map((NAME) => ({
      NAME,
      CON_ID: 1,
    })),
    DBA_USERS: [
      { USERNAME: 'ERP', ORACLE_MAINTAINED: 'N' },
      { USERNAME: 'SYS', ORACLE_MAINTAINED: 'Y' },
    ],
    DBA_SCHEDULER_JOBS: [
      { OWNER: 'SYS', JOB_NAME: 'GATHER', ENABLED: 'TRUE' },
      { OWNER: 'ERP', JOB_NAME: 'NIGHT', ENABLED: 'FALSE' },
      { OWNER: 'ERP', JOB_NAME: 'DBMS_JOB$_7', ENABLED: 'TRUE' },
    ],
    DBA_JOBS: [{ JOB: 7, LOG_USER: 'ERP', BROKEN: 'Y' }],
    CDB_HOST_ACES: [],
    V$RECOVERY_FILE_DEST: [{ NAME: '/data/fra', SPACE_LIMIT: 1000 }],
    DBA_SCHEDULER_RUNNING_JOBS: [],
    DBA_DB_LINKS: [{ OWNER: 'ERP', DB_LINK: 'BANK' }],
    DBA_HOST_ACES: [{ HOST: '*', PRINCIPAL: 'GSMADMIN_INTERNAL', PRIVILEGE: 'RESOLVE', GRANT_TYPE: 'GRANT' }],
  };
}

type Views = ReturnType<typeof fenced>;

async function findHoles(
  change: (views: Views) => void,
  rules: { name: string; sql: string; check: string }[] = [],
) {
  const views = fenced();
  change(views);
  await using sim = await startOracleSim({ views });
  const address = {
    engine: 'oracle',
    host: sim.host,
    port: sim.port,
    database: 'ERP',
    user: sim.user,
    password: sim.password,
  } as const;
  await using session = await connectOracle(address, signal);
  const options = { session, recoveryDir: '/data/fra', recoveryBytes: 1000, rules, onProgress: silent };
  const { fenced: holds, parts } = await testOracleFence(options);
  return { holds, holes: parts.flatMap(({ name, holes }) => holes.map((hole) => `${name}: ${hole}`)) };
}

const set = (views: Views, name: string, value: string): void => {
  views['V$PARAMETER']!.find(({ NAME }) => NAME === name)!['VALUE'] = value;
};

test('a clone with nothing open is fenced', async () => {
  expect(await findHoles(() => {})).toEqual({ holds: true, holes: [] });
});

describe('each part finds its hole by looking at the server', () => {
  test.each<[string, (views: Views) => void, string]>([
    [
      'a standby',
      (views) =>
        void views['V$ARCHIVE_DEST']!.push({
          DEST_ID: 3,
          STATUS: 'VALID',
          TARGET: 'STANDBY',
          DESTINATION: 'erp_stby',
        }),
      'archive destinations and log shipping: destination 3 leads to erp_stby',
    ],
    [
      'a destination that is only deferred',
      (views) =>
        void views['V$ARCHIVE_DEST']!.push({
          DEST_ID: 4,
          STATUS: 'DEFERRED',
          TARGET: 'PRIMARY',
          DESTINATION: '/prod/arch2',
        }),
      'archive destinations and log shipping: destination 4 leads to /prod/arch2 (deferred)',
    ],
    [
      "production's archive",
      (views) => void (views['V$ARCHIVE_DEST']![0]!['DESTINATION'] = '/prod/arch'),
      'archive destinations and log shipping: destination 1 leads to /prod/arch',
    ],
    [
      "production's recovery area",
      (views) => void (views['V$RECOVERY_FILE_DEST']![0]!['NAME'] = '/prod/fra'),
      'archive destinations and log shipping: the recovery area is /prod/fra',
    ],
    [
      'a server for gaps',
      (views) => set(views, 'fal_server', 'erp'),
      'archive destinations and log shipping: fal_server is erp',
    ],
    [
      'the broker',
      (views) => set(views, 'dg_broker_start', 'TRUE'),
      'archive destinations and log shipping: dg_broker_start is TRUE',
    ],
    [
      'job processes',
      (views) => set(views, 'job_queue_processes', '4000'),
      'job processes: job_queue_processes is 4000',
    ],
    [
      'a running job',
      (views) => void views['DBA_SCHEDULER_RUNNING_JOBS']!.push({ OWNER: 'ERP', JOB_NAME: 'NIGHT' }),
      'scheduler jobs: the job ERP.NIGHT is running',
    ],
    [
      'a job that is enabled',
      (views) => void (views['DBA_SCHEDULER_JOBS']![1]!['ENABLED'] = 'TRUE'),
      'scheduler jobs: the job ERP.NIGHT is enabled',
    ],
    [
      'a job of DBMS_JOB',
      (views) => void (views['DBA_JOBS']![0]!['BROKEN'] = 'N'),
      'jobs of DBMS_JOB: job 7 of ERP is not broken',
    ],
    [
      'a network right in a pluggable database',
      (views) => {
        views['V$DATABASE']![0]!['CDB'] = 'YES';
        views['CDB_HOST_ACES']!.push({
          CON_ID: 3,
          HOST: 'bank.example',
          PRINCIPAL: 'ERP',
          PRIVILEGE: 'HTTP',
          GRANT_TYPE: 'GRANT',
        });
      },
      'network access: in pluggable database 3 ERP may http to bank.example: take it away there',
    ],
    [
      'a service of production',
      (views) => void views['V$ACTIVE_SERVICES']!.push({ NAME: 'erp_web', CON_ID: 1 }),
      'services: the service erp_web is offered',
    ],
    [
      'a database link',
      (views) => set(views, 'open_links', '4'),
      'database links: ERP.BANK can be used: open_links is 4 until a restart',
    ],
    [
      'a mail server',
      (views) => set(views, 'smtp_out_server', 'mail:25'),
      'outgoing mail: smtp_out_server is mail:25',
    ],
    [
      'a network right',
      (views) =>
        void views['DBA_HOST_ACES']!.push({
          HOST: 'bank.example',
          PRINCIPAL: 'ERP',
          PRIVILEGE: 'CONNECT',
          GRANT_TYPE: 'GRANT',
        }),
      'network access: ERP may connect to bank.example',
    ],
    [
      'a remote listener',
      (views) => set(views, 'remote_listener', 'scan:1521'),
      'listeners and replication: remote_listener is scan:1521',
    ],
  ])('%s', async (_, change, hole) => {
    expect(await findHoles(change)).toEqual({ holds: false, holes: [hole] });
  });

  test.each([
    ['1', true],
    ['0', false],
  ])("the site's own rule holds when its check gives %s", async (answer, holds) => {
    const rule = { name: 'e-invoicing', sql: 'x', check: `SELECT ${answer} FROM DUAL;` };
    expect((await findHoles(() => {}, [rule])).holds).toBe(holds);
  });
});

test('every part has a name of its own', () => {
  expect(new Set(oracleFenceItems.map(({ name }) => name)).size).toBe(oracleFenceItems.length);
});

describe('a clone that has everything production has', () => {
  let folder: string;
  let sim: OracleSim;

  beforeEach(async () => {
    folder = await makeTestFolder();
    sim = await startOracleSim({ instance: { uniqueName: 'CLONAERP', storage: { folder } } });
    Object.assign(outletsOf(sim.instance), {
      jobs: [
        { owner: 'ERP', name: 'Night Run', enabled: true, running: true },
        { owner: 'ERP', name: 'INVOICES', enabled: true, running: false },
      ],
      oldJobs: [{ job: 7, owner: 'ERP', broken: false }],
      aces: [
        {
          host: 'mail',
          lowerPort: 25,
          upperPort: 25,
          principal: 'SYS',
          principalType: 'DATABASE',
          privilege: 'SMTP',
        },
        {
          host: 'bank',
          lowerPort: null,
          upperPort: null,
          principal: 'SYS',
          principalType: 'DATABASE',
          privilege: 'HTTP',
        },
        {
          host: '*',
          lowerPort: null,
          upperPort: null,
          principal: 'SYS',
          principalType: 'DATABASE',
          privilege: 'RESOLVE',
        },
      ],
      links: [{ owner: 'SYS', name: 'BANK', host: 'bankdb' }],
      services: [{ name: 'ERP_WEB', active: true }],
    });
    for (const sql of [
      'CREATE USER erp IDENTIFIED BY "x"',
      `ALTER SYSTEM SET log_archive_dest_2 = 'LOCATION=${join(folder, 'production')}'`,
      `ALTER SYSTEM SET log_archive_dest_3 = 'SERVICE=standby'`,
      `ALTER SYSTEM SET smtp_out_server = 'mail:25'`,
      `ALTER SYSTEM SET remote_listener = 'scan:1521'`,
      `ALTER SYSTEM SET fal_server = 'erp'`,
      'CREATE TABLE outlets (channel VARCHAR2(20), url VARCHAR2(50))',
      `INSERT INTO outlets VALUES ('e-invoice', 'https://tax')`,
    ]) {
      await execute(sql);
    }
  });

  afterEach(async () => {
    await sim[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const connect = () =>
    connectOracle(
      {
        engine: 'oracle',
        host: sim.host,
        port: sim.port,
        database: 'ERP',
        user: 'SYS',
        password: sim.password,
        oracle: { privilege: 'sysdba' },
      },
      signal,
    );

  async function execute(sql: string): Promise<void> {
    await using session = await connect();
    await session.driver.execute(sql, [], { autoCommit: true });
  }

  const restart = (): void => {
    stop(sim.instance, 'IMMEDIATE');
    startUp(sim.instance, { force: false, restricted: true, until: 'OPEN', pfile: null });
  };

  const rule = {
    name: 'e-invoicing',
    sql: `-- nothing goes to the tax office\nUPDATE outlets SET url = NULL WHERE channel = 'e-invoice';\nDELETE FROM outlets WHERE channel = 'a;b';`,
    check: `SELECT CASE WHEN COUNT(url) = 0 THEN 1 ELSE 0 END FROM outlets WHERE channel = 'e-invoice';`,
  };

  /** Up to a fence that stands: links are cut off by a static parameter. */
  async function fence(without?: string, rules = [rule]) {
    const apply = async () => {
      await using session = await connect();
      const items = oracleFenceItems.filter(({ name }) => name !== without);
      const recoveryDir = join(folder, 'fra');
      return await applyOracleFence({
        session,
        recoveryDir,
        recoveryBytes: 10 ** 9,
        rules,
        items,
        onProgress: silent,
      });
    };
    await apply();
    restart();
    return apply();
  }

  /** What leaves the clone when everything in it does what it does in production. */
  async function tryAll(): Promise<string[]> {
    const { instance } = sim;
    instance.restricted = false;
    runDueJobs(instance);
    const attempts = [
      'SELECT 1 FROM accounts@bank',
      `BEGIN UTL_MAIL.SEND(sender => 'erp', recipients => 'all'); END;`,
      `BEGIN UTL_SMTP.OPEN_CONNECTION(host => 'mail', port => 25); END;`,
      `BEGIN UTL_HTTP.REQUEST(url => 'http://bank/pay'); END;`,
      'ALTER SYSTEM ARCHIVE LOG CURRENT',
    ];
    for (const sql of attempts) await execute(sql).catch(() => {});
    const left = outletsOf(instance).sent.map(({ by, to }) => `${by} ${to}`);
    const written = existsSync(join(folder, 'production')) ? ["production's archive"] : [];
    const offered = outletsOf(instance).services.filter(({ active }) => active);
    return [
      ...new Set([
        ...left,
        ...written,
        ...instance.database!.shipped.map((to) => `redo ${to}`),
        ...offered.map(({ name }) => `service ${name}`),
      ]),
    ].sort();
  }

  test('sends jobs, mail, redo and payments without a fence, and nothing at all behind it', async () => {
    const everything = [
      'http bank',
      'job ERP.7',
      'job ERP.INVOICES',
      'job ERP.Night Run',
      'link bankdb',
      'mail mail',
      "production's archive",
      'redo standby',
      'service ERP_WEB',
    ];
    expect(await tryAll()).toEqual(everything);
    Object.assign(outletsOf(sim.instance), { sent: [] });
    sim.instance.database!.shipped.length = 0;
    await rm(join(folder, 'production'), { recursive: true });
    const { fenced, parts } = await fence();
    expect(parts.filter(({ holds }) => !holds)).toEqual([]);
    expect(fenced).toBe(true);
    expect(sim.instance.restricted).toBe(false);
    expect(await tryAll()).toEqual([]);
    // What was cut off stays so after another start, the site's own list too.
    restart();
    await using session = await connect();
    const options = {
      session,
      recoveryDir: join(folder, 'fra'),
      recoveryBytes: 10 ** 9,
      rules: [rule],
      onProgress: silent,
    };
    expect(await testOracleFence(options)).toMatchObject({ fenced: true });
  });

  test.each<[string, RegExp]>([
    ['archive destinations and log shipping', /destination 2 leads to .*production/],
    ['job processes', /job_queue_processes is 40/],
    ['scheduler jobs', /the job ERP\.Night Run is enabled/],
    ['jobs of DBMS_JOB', /job 7 of ERP is not broken/],
    ['database links', /SYS\.BANK can be used/],
    ['outgoing mail', /smtp_out_server is mail:25/],
    ['network access', /SYS may smtp to mail/],
    ['services', /the service ERP_WEB is offered/],
    ['listeners and replication', /remote_listener is scan:1521/],
  ])('is not let out without the part "%s"', async (without, hole) => {
    const { fenced, parts } = await fence(without);
    expect(fenced).toBe(false);
    expect(sim.instance.restricted).toBe(true);
    const open = parts.filter(({ holds }) => !holds);
    expect(open.map(({ name }) => name)).toEqual([without]);
    expect(open[0]!.holes.join('; ')).toMatch(hole);
  });

  test.each([
    [
      'its SQL is refused',
      { ...rule, sql: 'UPDATE none SET a = 1' },
      /sql of "e-invoicing" in staging\.fence.*ORA-00942/,
    ],
    [
      'its check asks nothing',
      { ...rule, check: 'DELETE FROM outlets' },
      /check of "e-invoicing".*one SELECT/,
    ],
    [
      'its check does not hold',
      { ...rule, sql: 'UPDATE outlets SET channel = channel' },
      /e-invoicing: its check/,
    ],
  ])('a rule of the site is named where %s', async (_, broken, message) => {
    await execute('ALTER SYSTEM SET open_links = 0 SCOPE = SPFILE');
    await execute('ALTER SYSTEM SET open_links_per_instance = 0 SCOPE = SPFILE');
    restart();
    await using session = await connect();
    const options = {
      session,
      recoveryDir: join(folder, 'fra'),
      recoveryBytes: 10 ** 9,
      rules: [broken],
      onProgress: silent,
    };
    await expect(requireOracleFence(options)).rejects.toThrow(message);
    expect(sim.instance.restricted).toBe(true);
  });

  test('services that the application on the clone needs may stay', async () => {
    await using session = await connect();
    const options = {
      session,
      recoveryDir: join(folder, 'fra'),
      recoveryBytes: 10 ** 9,
      rules: [],
      onProgress: silent,
    };
    await applyOracleFence({ ...options, keepServices: ['erp_web'] });
    expect(outletsOf(sim.instance).services).toEqual([{ name: 'ERP_WEB', active: true }]);
    // After a start none of them runs.
    outletsOf(sim.instance).services[0]!.active = false;
    await applyOracleFence({ ...options, keepServices: ['ERP_WEB'] });
    expect(outletsOf(sim.instance).services).toEqual([{ name: 'ERP_WEB', active: true }]);
    const wrong = applyOracleFence({ ...options, keepServices: ['ERP_WBE'] });
    await expect(wrong).rejects.toMatchObject({ kind: 'siteInvalid', exitCode: 2 });
  });

  test('an instance that runs from a PFILE is told of: its fence would fall at the next start', async () => {
    const pfile = join(folder, 'init.ora');
    await writeFile(
      pfile,
      [...sim.instance.spfile!].map(([name, value]) => `*.${name}='${value}'\n`).join(''),
    );
    stop(sim.instance, 'IMMEDIATE');
    startUp(sim.instance, { force: false, restricted: true, until: 'OPEN', pfile });
    await using session = await connect();
    const options = {
      session,
      recoveryDir: join(folder, 'fra'),
      recoveryBytes: 10 ** 9,
      rules: [],
      onProgress: silent,
    };
    await expect(applyOracleFence(options)).rejects.toMatchObject({
      kind: 'fenceFailed',
      message: expect.stringContaining('runs from a PFILE (ORA-32001)') as string,
    });
  });
});

test.each<[string, string[]]>([
  ["UPDATE a SET b = 'x;y'; DELETE FROM c;", ["UPDATE a SET b = 'x;y'", 'DELETE FROM c']],
  ['BEGIN a; b; END;', ['BEGIN a; b; END;']],
  ['BEGIN a; END;\n/\nDELETE FROM c\n/\n', ['BEGIN a; END;', 'DELETE FROM c']],
  ['-- cut; off\nDELETE FROM c -- all; of it\n', ['DELETE FROM c -- all; of it']],
  [
    'CREATE OR REPLACE PROCEDURE p IS BEGIN NULL; END;',
    ['CREATE OR REPLACE PROCEDURE p IS BEGIN NULL; END;'],
  ],
  [' ; \n-- nothing', []],
  ['SELECT 4 / 2 FROM dual', ['SELECT 4 / 2 FROM dual']],
])('a rule is cut into statements: %s', (sql, statements) => {
  expect(splitStatements(sql)).toEqual(statements);
});

test('a parameter is quoted where it is text', () => {
  expect(setParameter('job_queue_processes', '0', 'now')).toBe(
    'ALTER SYSTEM SET job_queue_processes = 0 SCOPE = BOTH',
  );
  expect(setParameter('smtp_out_server', '', 'now')).toBe(
    "ALTER SYSTEM SET smtp_out_server = '' SCOPE = BOTH",
  );
  expect(setParameter('log_archive_dest_2', "LOCATION=/o'neil", 'restart')).toBe(
    "ALTER SYSTEM SET log_archive_dest_2 = 'LOCATION=/o''neil' SCOPE = SPFILE",
  );
});
