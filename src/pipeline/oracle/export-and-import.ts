import { randomBytes } from 'node:crypto';
import { connectOracle, type OracleSql } from '../../databases/oracle/connect.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { makeFolder, runExpdp, type OracleTools } from '../../databases/oracle/guest-tools.ts';
import { importIntoCloneSchemas, type SchemaImportReport } from '../../databases/oracle/import/import.ts';
import { joinGuest, quoteName, quoteSqlText } from '../../databases/oracle/rman-text.ts';
import { ClonaError } from '../../errors.ts';
import { withProgress, type OnProgress } from '../../progress.ts';
import { judgeJobLog } from '../../proof/job-log.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import { sysdbaOn } from './sessions.ts';
import { applicationSchemas } from './settings.ts';

export interface ExportAndImport {
  site: Site;
  machine: MachineAccess;
  tools: OracleTools;
  /** Who may use Data Pump on the clone. */
  address: DatabaseAddress;
  label: string;
  signal: AbortSignal;
  onProgress: OnProgress;
}

const directory = 'CLONA_PROOF';
const [dumpFile, logFile] = ['proof.dmp', 'proof.log'];

/**
 * Grade 4 where the site has no exports of its own: what was restored is exported on the clone and imported into the CLONA
 * schemas there, so that every row has been read and written again with its constraints. The dump goes with the proof.
 */
export async function exportAndImport(work: ExportAndImport): Promise<SchemaImportReport> {
  const { site, tools, address, label, signal, onProgress } = work;
  const { guest } = tools;
  const schemas = applicationSchemas(site);
  const folder = joinGuest(guest.platform, tools.workDir, 'dump');
  await makeFolder(guest, folder, signal);
  const sysdba = sysdbaOn(tools);
  const path = quoteSqlText(folder, 'the folder of the dump');
  await sysdba.execute(`CREATE OR REPLACE DIRECTORY ${directory} AS ${path}`);
  const made = async (): Promise<SchemaImportReport> => {
    await withProgress(onProgress, 'export what was restored', async () => runExport(tools, folder, schemas));
    const { defaultTablespace, tablespaces } = await readTablespaces(address, schemas, signal);
    return importIntoCloneSchemas({
      address,
      guest,
      schemas,
      prefix: site.staging.clonaPrefix,
      directory,
      dumpFiles: [dumpFile],
      exportLog: logFile,
      tablespaces,
      defaultTablespace,
      parallel: { degree: 1, licensed: false },
      liveNames: { mode: 'rewrite', accepted: [] },
      label,
      randomPassword: randomBytes(18).toString('base64url'),
      signal,
      onProgress,
    });
  };
  const report = await made().catch(async (error: unknown) => {
    // Why it failed says more than what is left; the clone goes with a refresh that failed.
    await removeDump(sysdba, tools, folder).catch(() => {});
    throw error;
  });
  await removeDump(sysdba, tools, folder);
  return report;
}

/** A dump that a kill left is in the way (ORA-27038). */
async function runExport(tools: OracleTools, folder: string, schemas: readonly string[]): Promise<void> {
  const { guest, signal } = tools;
  await removeFiles(tools, folder);
  const { text } = await runExpdp(tools, [
    `directory=${directory}`,
    `schemas=${schemas.map((name) => quoteName(name, 'a schema')).join(',')}`,
    `dumpfile=${dumpFile}`,
    `logfile=${logFile}`,
  ]);
  const log = await guest.readFile(joinGuest(guest.platform, folder, logFile), signal).then(
    (content) => content.toString('utf8'),
    () => text,
  );
  const { verdict, findings } = judgeJobLog(log);
  if (verdict === 'ok' || verdict === 'warning') return;
  const why = findings[0]?.meaning ?? log.trim().slice(-300);
  throw new ClonaError('proofFailed', `what was restored cannot be exported: ${verdict}, ${why}`, {
    details: { log: log.slice(-2000) },
  });
}

/** All of it goes where the first schema lies: no quota elsewhere is needed. */
async function readTablespaces(
  address: DatabaseAddress,
  schemas: readonly string[],
  signal: AbortSignal,
): Promise<{ defaultTablespace: string; tablespaces: Record<string, string> }> {
  await using session = await connectOracle(address, signal, { module: 'clona proof' });
  const [schema = ''] = schemas;
  const [[home = null] = []] = await session.query(
    'SELECT DEFAULT_TABLESPACE FROM DBA_USERS WHERE USERNAME = :schema',
    { schema },
  );
  if (home === null) {
    throw new ClonaError('siteInvalid', `the restored database has no schema ${schema}`, {
      hint: 'database.oracle.schemas names the schemas of the application',
    });
  }
  const rows = await session.query(
    "SELECT TABLESPACE_NAME FROM DBA_TABLESPACES WHERE CONTENTS = 'PERMANENT' AND TABLESPACE_NAME NOT IN ('SYSTEM', 'SYSAUX')",
  );
  const others = rows.flatMap(([name]) =>
    name === null || name === undefined || name === home ? [] : [name],
  );
  return {
    defaultTablespace: home,
    tablespaces: Object.fromEntries(others.map((name) => [name, home])),
  };
}

/** R23: unmasked rows stay nowhere. */
async function removeDump(sysdba: OracleSql, tools: OracleTools, folder: string): Promise<void> {
  await removeFiles(tools, folder);
  await sysdba.execute(`DROP DIRECTORY ${directory}`);
}

async function removeFiles({ guest, signal }: OracleTools, folder: string): Promise<void> {
  const [dump, log] = [dumpFile, logFile].map((name) => joinGuest(guest.platform, folder, name));
  const argv =
    guest.platform === 'windows'
      ? ['cmd.exe', '/d', '/c', 'del', '/f', '/q', dump ?? '', log ?? '']
      : ['rm', '-f', dump ?? '', log ?? ''];
  const { exitCode, stderr } = await guest.run(argv, { signal });
  if (exitCode !== 0)
    throw new ClonaError('guestFailed', `the dump of the proof is left in ${folder}: ${stderr.trim()}`);
}
