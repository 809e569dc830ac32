import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectOracle } from '../../../../src/databases/oracle/connect.ts';
import type { DatabaseAddress } from '../../../../src/databases/database.ts';
import type { OracleTools } from '../../../../src/databases/oracle/guest-tools.ts';
import { installTools, type Tools } from '../../../../test/oracle-sim/machine/tools.ts';
import { pumpOf } from '../../../../test/oracle-sim/pump/state.ts';
import { startOracleSim, type OracleSim } from '../../../../test/oracle-sim/server.ts';
import { createHostGuest } from '../../../../test/support/host-guest.ts';

/** One simulated machine: its server, its programs, its disks. */
export interface OracleMachine {
  name: string;
  sim: OracleSim;
  tools: OracleTools;
  address: DatabaseAddress;
  /** Where the program of the ERP lies, with its version file. */
  systemDisk: string;
}

export interface OracleWorld extends AsyncDisposable {
  folder: string;
  archive: string;
  dumps: string;
  live: OracleMachine;
  /** A machine for one refresh: after a kit that failed, staging is made anew. */
  makeStaging: (name: string) => Promise<OracleMachine>;
  run: (machine: OracleMachine, ...statements: string[]) => Promise<void>;
  one: (machine: OracleMachine, sql: string) => Promise<string>;
}

/** LIVE with a small ERP, and an empty machine beside it that sees the archive. */
export async function openOracleWorld(signal: AbortSignal): Promise<OracleWorld> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'clona-demo-oracle-'));
  await chmod(folder, 0o711);
  stack.defer(async () => rm(folder, { recursive: true, force: true }));
  const machines = stack.use(new AsyncDisposableStack());
  const [archive, dumps] = [join(folder, 'archive'), join(folder, 'dumps')];
  await mkdir(dumps);
  const make = async (name: string): Promise<OracleMachine> => {
    const disk = join(folder, name);
    const storage = {
      folder: disk,
      create: name === 'live',
      ...(name === 'live' ? { recoveryArea: archive } : {}),
    };
    const sim = machines.use(await startOracleSim({ instance: { storage } }));
    const installed: Tools = machines.use(await installTools(sim.server, disk));
    pumpOf(sim.instance).directories.set('DUMPS', dumps);
    const systemDisk = join(disk, 'system');
    await mkdir(systemDisk, { recursive: true });
    const { host, port, user, password } = sim;
    const instanceName = name.toUpperCase();
    const tools = {
      guest: createHostGuest(disk),
      home: installed.home,
      instanceName,
      workDir: join(disk, 'work'),
      signal,
    };
    return {
      name,
      sim,
      tools,
      systemDisk,
      address: { engine: 'oracle', host, port, database: 'ERP', user, password },
    };
  };
  const live = await make('live');
  await writeFile(join(live.systemDisk, 'VERSION'), '2.0\n');
  const run: OracleWorld['run'] = async ({ address }, ...statements) => {
    await using session = await connectOracle(address, signal);
    for (const sql of statements) await session.execute(sql);
    await session.driver.commit();
  };
  const owned = stack.move();
  return {
    folder,
    archive,
    dumps,
    live,
    makeStaging: make,
    run,
    one: async ({ address }, sql) => {
      await using session = await connectOracle(address, signal);
      return (await session.query(sql))[0]?.[0] ?? '';
    },
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

/** A small ERP: orders and their lines, a view, a procedure, keys. */
export const erpStatements: readonly string[] = [
  'CREATE USER erp IDENTIFIED BY "Erp_Secret1" QUOTA UNLIMITED ON ERP',
  'CREATE TABLE erp.orders (id NUMBER, customer VARCHAR2(40))',
  'CREATE TABLE erp.lines (id NUMBER, order_id NUMBER)',
  ...[1, 2, 3].map((id) => `INSERT INTO erp.orders VALUES (${id}, 'customer ${id}')`),
  'INSERT INTO erp.lines VALUES (1, 1)',
  'ALTER TABLE erp.orders ADD CONSTRAINT orders_pk PRIMARY KEY (id)',
  'ALTER TABLE erp.lines ADD CONSTRAINT lines_fk FOREIGN KEY (order_id) REFERENCES erp.orders (id)',
  'CREATE OR REPLACE VIEW erp.open_orders AS SELECT id FROM orders',
];

/** Kits as a vendor sends them: the first one breaks on the data, the second is good. */
export const kitScripts = {
  '2.1':
    'PROMPT due dates\nALTER TABLE erp.orders ADD (due DATE);\nALTER TABLE erp.invoices ADD (due DATE);\n',
  '2.2':
    'PROMPT due dates\nALTER TABLE erp.orders ADD (due_on DATE);\nCREATE OR REPLACE VIEW erp.due_orders AS SELECT id, due_on FROM erp.orders;\n',
} as const;

export type KitVersion = keyof typeof kitScripts;

export async function writeKit(folder: string, version: KitVersion): Promise<string> {
  const vendor = join(folder, 'kits', version);
  await mkdir(join(vendor, 'sql'), { recursive: true });
  const manifest = `name: erp\nversion: "${version}"\nfromVersions: ["2.0"]\nsteps:\n  - sqlplus: sql/up.sql\n`;
  await writeFile(join(vendor, 'kit.yaml'), manifest);
  await writeFile(join(vendor, 'sql/up.sql'), kitScripts[version]);
  return vendor;
}
