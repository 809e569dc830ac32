import { rm } from 'node:fs/promises';
import { ClonaError } from '../../errors.ts';
import type { DatabaseAddress } from '../database.ts';
import { cureBackupMode, endOfAll } from './backup-mode.ts';
import { connectOracle, type OracleSql } from './connect.ts';
import type { ControlFileRows } from './control-file.ts';
import { makeFolder, type OracleTools } from './guest-tools.ts';
import { identifyFile, markFileOf, readMark } from './hot-ports.ts';
import { endLeftQuiesce } from './quiet-point.ts';
import { openSqlPlusSession } from './sqlplus-session.ts';

/**
 * R8, at the start of every verb that opens production and has a way into its machine: what an earlier hot backup of clona's left
 * in backup mode is ended first, once the files are proven to be the originals; never by a restore. A server that is only mounted,
 * as a crash in backup mode leaves it, is told by SQL*Plus on its own machine. So is one that clona left quiesced. What was done, for
 * people, one sentence each.
 */
export async function endLeftBackupMode(
  address: DatabaseAddress,
  tools: OracleTools,
  archiveDir: string,
): Promise<string[]> {
  const said: string[] = [];
  if (await endLeftQuiesce(tools, archiveDir)) {
    said.push('a quiesced backup had been broken off: the server was unquiesced');
  }
  const mark = await readMark(markFileOf(archiveDir));
  if (mark === null) return said;
  const identify = async (name: string): Promise<string | null> => identifyFile(tools.guest, name);
  const cure = await overDriver(address, tools.signal, async (session) =>
    cureBackupMode(session, mark, identify),
  ).catch(async (error: unknown) => {
    tools.signal.throwIfAborted();
    if (!(error instanceof ClonaError) || !isClosed(error)) throw error;
    await makeFolder(tools.guest, tools.workDir, tools.signal);
    return cureBackupMode(openSqlPlusSession(tools, 'end-backup'), mark, identify);
  });
  await rm(markFileOf(archiveDir), { force: true });
  if (cure.kind !== 'end') return said;
  const next = cure.statements.includes(endOfAll) ? '; it can be opened now: ALTER DATABASE OPEN' : '';
  said.push(
    `a hot backup of ${mark.startedAt} had been broken off: ${cure.files.length} datafiles were taken out of backup mode${next}`,
  );
  return said;
}

async function overDriver<Result>(
  address: DatabaseAddress,
  signal: AbortSignal,
  work: (session: OracleSql) => Promise<Result>,
): Promise<Result> {
  await using session = await connectOracle(address, signal, { module: 'clona' });
  return await work(session);
}

/** Mounted, or restricted: users without SYSBACKUP do not get in. */
function isClosed({ details }: ClonaError): boolean {
  return ['ORA-01033', 'ORA-01109', 'ORA-01219', 'ORA-12528'].includes(String(details?.['code']));
}

/** For verbs that only read: which files of ours are still in backup mode, as one sentence; null: none. */
export async function warnOfLeftBackupMode(
  { backupMode, database }: ControlFileRows,
  archiveDir: string,
): Promise<string | null> {
  const mark = await readMark(markFileOf(archiveDir)).catch(() => null);
  if (mark === null || mark.dbid !== database[0]?.dbid) return null;
  const ours = new Set(mark.files.map(({ file }) => file));
  const left = backupMode.filter(({ file, status }) => status === 'ACTIVE' && ours.has(file ?? ''));
  if (left.length === 0) return null;
  return `a hot backup of clona's of ${mark.startedAt} left ${left.length} datafiles in backup mode, unless it still runs: clona backup ends it (END BACKUP, never a restore)`;
}
