import { describe, expect, test } from 'vitest';
import { connectOracle } from '../../../src/databases/oracle/connect.ts';
import { oracleFenceItems, testOracleFence } from '../../../src/databases/oracle/fence/fence.ts';
import { setParameter } from '../../../src/databases/oracle/fence/item.ts';
import { silent } from '../../../src/progress.ts';
import { startOracleSim } from '../../oracle-sim/server.ts';

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
      'jobs: job_queue_processes is 4000',
    ],
    [
      'a running job',
      (views) => void views['DBA_SCHEDULER_RUNNING_JOBS']!.push({ OWNER: 'ERP', JOB_NAME: 'NIGHT' }),
      'jobs: the job ERP.NIGHT is running',
    ],
    [
      'a database link',
      (views) => set(views, 'open_links', '4'),
      'database links: ERP.BANK can be used: open_links is 4 until a restart',
    ],
    [
      'a mail server',
      (views) => set(views, 'smtp_out_server', 'mail:25'),
      'outgoing mail and network access: smtp_out_server is mail:25',
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
      'outgoing mail and network access: ERP may connect to bank.example',
    ],
    [
      'a remote listener',
      (views) => set(views, 'remote_listener', 'scan:1521'),
      'services and replication: remote_listener is scan:1521',
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
