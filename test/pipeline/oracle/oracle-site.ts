import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectOracle, type OracleSession } from '../../../src/databases/oracle/connect.ts';
import { operationsOn } from '../../../src/pipeline/create-operations.ts';
import type { SiteAccess } from '../../../src/pipeline/machine/access.ts';
import type { Operations } from '../../../src/pipeline/operations.ts';
import { loadSite } from '../../../src/site/load.ts';
import {
  createOracleLive,
  openOraclePlatform,
  oracleDisks,
  oracleHome,
  type OraclePlatformHooks,
} from '../../support/oracle-platform.ts';

const password = 'Sim_pa55';

export interface OracleSite {
  access: SiteAccess;
  operations: Operations;
  /** A session in LIVE's or a clone's database, the caller's to dispose of. */
  session: (machine: string, user?: string) => Promise<OracleSession>;
  /** LIVE's. */
  systemDisk: string;
}

/** Makes LIVE with a small ERP, its site file, kits and smoke tests in `root`. */
export async function makeOracleSite(root: string): Promise<void> {
  for (const folder of ['machines', 'archive', 'smoke']) await mkdir(join(root, folder), { recursive: true });
  const machines = join(root, 'machines');
  await createOracleLive(machines, {
    recoveryArea: join(root, 'archive', 'fra'),
    tablespaces: ['USERS', 'ERP'],
    users: [
      { name: 'CLONA', password, grants: ['DBA', 'CREATE SESSION'] },
      {
        name: 'ANNA',
        password,
        grants: ['CREATE SESSION', 'CREATE TABLE', 'INSERT ANY TABLE', 'SELECT ANY TABLE'],
      },
    ],
  });
  await writeFile(join(oracleDisks(machines, 'live').system, 'VERSION'), '2.0\n');
  await writeFile(join(root, 'clona.yaml'), siteText(root));
  await writeFile(join(root, 'secret'), `${password}\n`, { mode: 0o600 });
  await writeFile(join(root, 'mask.sql'), "-- customers\nUPDATE orders SET customer = 'x';\n");
  await writeFile(
    join(root, 'smoke', 'accounting.sql'),
    '-- check: orders have lines\n-- expect: value >= 1\nselect count(*) from erp.lines;\n',
  );
  await writeKit(root, '2.1', { 'up.sql': 'ALTER TABLE erp.orders ADD (due_on DATE);\n' });
  const site = await openOracleSite(root);
  await using live = await site.session('live');
  for (const sql of erpStatements) await live.execute(sql);
  await live.driver.commit();
}

export async function openOracleSite(root: string, hooks: OraclePlatformHooks = {}): Promise<OracleSite> {
  const site = await loadSite(join(root, 'clona.yaml'));
  const platform = openOraclePlatform(site, join(root, 'machines'), hooks);
  const access: SiteAccess = { site, platform, machines: platform.machines };
  return {
    access,
    operations: await operationsOn(access, () => {}),
    systemDisk: oracleDisks(join(root, 'machines'), 'live').system,
    session: async (machine, user) => {
      const signal = AbortSignal.timeout(60_000);
      const facts = await platform.machines.describe(machine, signal);
      const door = await platform.openDoor(facts, signal);
      const session = await connectOracle(
        { ...door.address, ...(user === undefined ? {} : { user }) },
        signal,
      );
      return {
        ...session,
        [Symbol.asyncDispose]: async () => {
          await session[Symbol.asyncDispose]();
          await door[Symbol.asyncDispose]();
        },
      };
    },
  };
}

/** A kit from 2.0, of scripts for SQL*Plus in their order. */
export async function writeKit(
  root: string,
  version: string,
  scripts: Record<string, string>,
): Promise<string> {
  const folder = join(root, 'kits', version);
  await mkdir(join(folder, 'sql'), { recursive: true });
  const steps = Object.keys(scripts).map((name) => `  - sqlplus: sql/${name}\n    repeatable: true\n`);
  await writeFile(
    join(folder, 'kit.yaml'),
    `name: erp\nversion: "${version}"\nfromVersions: ["2.0"]\nsteps:\n${steps.join('')}`,
  );
  for (const [name, text] of Object.entries(scripts)) await writeFile(join(folder, 'sql', name), text);
  return folder;
}

const erpStatements = [
  'CREATE USER erp IDENTIFIED BY "Erp_Secret1" QUOTA UNLIMITED ON ERP QUOTA UNLIMITED ON USERS',
  'CREATE TABLE erp.orders (id NUMBER, customer VARCHAR2(40))',
  'CREATE TABLE erp.lines (id NUMBER, order_id NUMBER)',
  ...[1, 2, 3].map((id) => `INSERT INTO erp.orders VALUES (${id}, 'customer ${id}')`),
  'INSERT INTO erp.lines VALUES (1, 1)',
  'ALTER TABLE erp.orders ADD CONSTRAINT orders_pk PRIMARY KEY (id)',
  'ALTER TABLE erp.lines ADD CONSTRAINT lines_fk FOREIGN KEY (order_id) REFERENCES erp.orders (id)',
  'CREATE OR REPLACE VIEW erp.open_orders AS SELECT id FROM orders',
];

function siteText(root: string): string {
  const machines = join(root, 'machines');
  return `
name: erp
database:
  engine: oracle
  name: ERP
  user: CLONA
  password: file:secret
  businessCounts:
    - name: orders
      sql: select count(*) as n, sum(id) as total from erp.orders
  oracle:
    home: ${oracleHome(machines, 'live')}
    instance: ERP
    schemas: [erp]
    staging:
      name: CLONA
      home: ${oracleHome(machines, 'staging')}
      recoverySize: 1GB
      archives: [${join(root, 'archive')}]
      clear: [${join(oracleDisks(machines, 'staging').data, 'u02')}]
archive:
  location: archive
  acceptSharedDisk: a test
staging:
  name: staging
  masking: [mask.sql]
smoke: { directory: smoke }
departments:
  - { name: accounting, keyUsers: [anna] }
dba: { name: dora }
promotion:
  drainTimeout: 20s
`;
}
