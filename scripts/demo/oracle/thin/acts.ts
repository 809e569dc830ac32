import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectOracle } from '../../../../src/databases/oracle/connect.ts';
import { requireOracleFence } from '../../../../src/databases/oracle/fence/fence.ts';
import {
  importIntoCloneSchemas,
  type SchemaImportReport,
} from '../../../../src/databases/oracle/import/import.ts';
import { restoreOracle } from '../../../../src/databases/oracle/restore.ts';
import { readOracleCatalog } from '../../../../src/databases/oracle/site-catalog.ts';
import { takeRmanBackup } from '../../../../src/databases/oracle/take-backup.ts';
import { ClonaError } from '../../../../src/errors.ts';
import type { GateDecision } from '../../../../src/gate/gate.ts';
import { applyKit, type KitReport } from '../../../../src/kit/apply/apply.ts';
import { fetchKit, type FetchedKit } from '../../../../src/kit/fetch.ts';
import { silent } from '../../../../src/progress.ts';
import { judgeJobLog } from '../../../../src/proof/job-log.ts';
import { planRecovery } from '../../../../src/recovery/plan.ts';
import { judgeGate } from './gate.ts';
import { writeKit, type KitVersion, type OracleMachine, type OracleWorld } from './world.ts';

export async function backUp({ live, archive, run }: OracleWorld, signal: AbortSignal): Promise<string> {
  const { judgement } = await takeRmanBackup(live.tools, {
    kind: 'managed',
    level: null,
    channels: 1,
    compressed: false,
  });
  if (judgement.verdict !== 'ok')
    throw new ClonaError('jobLogFailed', `the log of RMAN is ${judgement.verdict}`);
  await run(live, 'ALTER SYSTEM ARCHIVE LOG CURRENT');
  const { catalog } = await readOracleCatalog(live.address, { archiveDir: archive }, signal);
  return catalog.backups.at(-1)?.label ?? '';
}

export async function refresh(
  { live, archive, folder }: OracleWorld,
  staging: OracleMachine,
  signal: AbortSignal,
): Promise<{ name: string; dbid: string }> {
  const { catalog, facts } = await readOracleCatalog(live.address, { archiveDir: archive }, signal);
  const plan = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'online-log' });
  if (!plan.reachable || plan.redoTo === null) throw new ClonaError('targetUnreachable', 'there is no plan');
  const recoveryDir = join(folder, staging.name, 'fra');
  const target = {
    platform: 'linux',
    databaseName: 'CLONAERP',
    instanceName: 'CLONAERP',
    dataDir: join(folder, staging.name, 'data'),
    recoveryDir,
    recoveryBytes: 1_000_000_000,
    archiveDirs: [`${archive}/`],
    channels: 1,
  } as const;
  const until = { kind: 'scn', scn: plan.redoTo } as const;
  const restored = await restoreOracle({
    plan,
    catalog,
    facts,
    target,
    tools: staging.tools,
    until,
    onProgress: silent,
  });
  const sys = { ...staging.address, user: 'SYS', oracle: { privilege: 'sysdba' as const } };
  await using session = await connectOracle(sys, signal);
  const fence = { session, recoveryDir, recoveryBytes: target.recoveryBytes, rules: [], onProgress: silent };
  await requireOracleFence(fence);
  await writeFile(join(staging.systemDisk, 'VERSION'), await readFile(join(live.systemDisk, 'VERSION')));
  return { name: restored.name, dbid: restored.dbid };
}

export async function prove(
  { live, dumps }: OracleWorld,
  staging: OracleMachine,
  signal: AbortSignal,
): Promise<SchemaImportReport> {
  const parameters = ['DIRECTORY=DUMPS', 'SCHEMAS=ERP', 'DUMPFILE=erp.dmp', 'LOGFILE=erp.log'];
  const { guest, home } = live.tools;
  await guest.run([join(home, 'bin/expdp'), '/ as sysdba', ...parameters], { signal });
  const { verdict } = judgeJobLog(await readFile(join(dumps, 'erp.log'), 'utf8'));
  if (verdict !== 'ok') throw new ClonaError('jobLogFailed', `the log of the export is ${verdict}`);
  return importIntoCloneSchemas({
    address: staging.address,
    guest: staging.tools.guest,
    schemas: ['ERP'],
    prefix: 'CLONA',
    directory: 'DUMPS',
    dumpFiles: ['erp.dmp'],
    exportLog: 'erp.log',
    tablespaces: { ERP: 'USERS' },
    defaultTablespace: 'USERS',
    parallel: { degree: 1, licensed: false },
    liveNames: { mode: 'refuse', accepted: [] },
    label: 'demo',
    randomPassword: '',
    pollMs: 50,
    signal,
    onProgress: silent,
  });
}

export async function install(
  machine: OracleMachine,
  kit: FetchedKit,
  signal: AbortSignal,
  recordedSteps?: KitReport['steps'],
): Promise<KitReport> {
  const { tools, address, systemDisk } = machine;
  return applyKit({
    kit,
    guest: tools.guest,
    place: { systemDisk, dataDisk: systemDisk },
    database: () => Promise.reject(new ClonaError('kitUnfit', 'sql steps are for PostgreSQL')),
    sqlPlus: { logon: { kind: 'sysdba' }, home: tools.home, instanceName: tools.instanceName, address },
    recordedSteps,
    onRecord: async () => {},
    signal,
  });
}

export async function tryKit(
  world: OracleWorld,
  staging: OracleMachine,
  version: KitVersion,
  backup: string,
  proof: SchemaImportReport,
  signal: AbortSignal,
): Promise<{ kit: FetchedKit; applied: KitReport; gate: GateDecision }> {
  const { folder } = world;
  const source = await writeKit(folder, version);
  const kit = await fetchKit({ source, into: join(folder, `fetched-${version}`), signal });
  const applied = await install(staging, kit, signal);
  const orders = await world.one(staging, 'SELECT COUNT(*) FROM erp.orders');
  const gate = judgeGate({ refresh: staging.name, kit, applied, backup, proof, smokePassed: orders === '3' });
  return { kit, applied, gate };
}
