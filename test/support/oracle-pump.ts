import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import oracledb from 'oracledb';
import type { SchemaImportOptions } from '../../src/databases/oracle/import/import.ts';
import { pumpOf, newJob, type Pump } from '../oracle-sim/pump/state.ts';
import { runExport } from '../oracle-sim/pump/export.ts';
import { startOracleSim, type OracleSim } from '../oracle-sim/server.ts';
import { createHostGuest } from './host-guest.ts';

export interface PumpWorld extends AsyncDisposable {
  sim: OracleSim;
  pump: Pump;
  folder: string;
  run: (...statements: string[]) => Promise<void>;
  /** One value, as text. */
  one: (sql: string) => Promise<string | null>;
  /** Writes the dump set and its log into the directory DUMPS; names of its files. */
  exportErp: (more?: {
    files?: string[];
    schemas?: string[];
    password?: string;
    version?: string;
  }) => Promise<string[]>;
  options: (more?: Partial<SchemaImportOptions>) => SchemaImportOptions;
}

/** A server with the schema ERP: orders and lines, a view, a package; and a directory for its dumps. */
export async function openPumpWorld(folder: string, signal: AbortSignal): Promise<PumpWorld> {
  const sim = await startOracleSim({ instance: { storage: { folder } } });
  const pump = pumpOf(sim.instance);
  pump.directories.set('DUMPS', folder);
  const connection = await oracledb.getConnection(sim);
  const run = async (...statements: string[]): Promise<void> => {
    for (const sql of statements) await connection.execute(sql);
    await connection.commit();
  };
  await run(
    'CREATE USER erp IDENTIFIED BY secret QUOTA UNLIMITED ON ERP',
    'CREATE TABLE erp.orders (id NUMBER, note VARCHAR2(40))',
    'CREATE TABLE erp."Lines" (id NUMBER, order_id NUMBER)',
    ...[1, 2, 3].map((id) => `INSERT INTO erp.orders VALUES (${id}, 'order ${id}')`),
    'INSERT INTO erp."Lines" VALUES (1, 1)',
    'ALTER TABLE erp.orders ADD CONSTRAINT orders_pk PRIMARY KEY (id)',
    'ALTER TABLE erp."Lines" ADD CONSTRAINT lines_fk FOREIGN KEY (order_id) REFERENCES erp.orders (id)',
    'CREATE OR REPLACE VIEW erp.open_orders AS SELECT id, note FROM orders',
  );
  const exportErp: PumpWorld['exportErp'] = async ({
    files = ['erp01.dmp'],
    schemas = ['ERP'],
    password,
    version,
  } = {}) => {
    const job = newJob('SYS_EXPORT_SCHEMA_01', 'SYSTEM', 'EXPORT');
    Object.assign(job, { directory: 'DUMPS', dumpFiles: files, logFile: 'erp.log', schemas });
    job.encryptionPassword = password ?? null;
    job.request = 'system/******** schemas=erp directory=dumps';
    if (version !== undefined) job.parameters.set('VERSION', version);
    runExport({ instance: sim.instance, user: { name: 'SYSTEM', password: '', grants: [] } }, job);
    return Promise.resolve(files);
  };
  const guest = createHostGuest(folder);
  return {
    sim,
    pump,
    folder,
    run,
    one: async (sql) => {
      const { rows } = await connection.execute<(string | number | null)[]>(sql);
      const value = rows?.[0]?.[0];
      return value === null || value === undefined ? null : String(value);
    },
    exportErp,
    options: (more = {}) => ({
      address: {
        engine: 'oracle',
        host: sim.host,
        port: sim.port,
        database: 'ERP',
        user: sim.user,
        password: sim.password,
      },
      guest,
      schemas: ['ERP'],
      prefix: 'CLONA',
      directory: 'DUMPS',
      dumpFiles: ['erp01.dmp'],
      exportLog: 'erp.log',
      tablespaces: { ERP: 'USERS' },
      defaultTablespace: 'USERS',
      parallel: { degree: 1, licensed: false },
      liveNames: { mode: 'refuse', accepted: [] },
      label: 'test',
      randomPassword: 'r4ndom',
      pollMs: 1,
      signal,
      onProgress: () => {},
      ...more,
    }),
    async [Symbol.asyncDispose]() {
      await connection.close().catch(() => {});
      await sim[Symbol.asyncDispose]();
    },
  };
}

/** Cuts the end off a dump, as a copy that broke off. */
export async function cutFile(folder: string, name: string, content: Buffer): Promise<void> {
  await writeFile(join(folder, name), content.subarray(0, content.length - 100));
}
