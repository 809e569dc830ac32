import { ClonaError, toClonaError } from '../../../errors.ts';
import type { Guest } from '../../../guest/guest.ts';
import { decodeJobLog } from '../../../proof/job-log-text.ts';
import { judgeJobLog, type JobLogJudgement } from '../../../proof/job-log.ts';
import type { OracleSession } from '../connect.ts';
import { joinGuest } from '../rman-text.ts';
import { refusedCall } from './import-failure.ts';
import { groupDumpSets, readDumpFile, readDumpNames, type DumpFile, type DumpSet } from './dump-set.ts';
import { askDumpFile } from './job-text.ts';

/** The folder that a DIRECTORY object names, as the server sees it. */
export async function readDirectoryPath(session: OracleSession, directory: string): Promise<string> {
  const [row] = await session.query(
    'SELECT DIRECTORY_PATH FROM DBA_DIRECTORIES WHERE DIRECTORY_NAME = :name',
    { name: directory },
    'reading DBA_DIRECTORIES',
  );
  if (row?.[0] !== undefined && row[0] !== null) return row[0];
  throw new ClonaError('siteInvalid', `the database knows no directory ${directory}`, {
    hint: `CREATE DIRECTORY ${directory} AS 'folder of the dumps', and GRANT READ, WRITE ON it to the user of clona`,
  });
}

/** What the server says of each file. A file it cannot read is no error here: it belongs to no set. */
export async function readDumpFiles(
  session: OracleSession,
  directory: string,
  names: readonly string[],
): Promise<DumpFile[]> {
  const files: DumpFile[] = [];
  for (const name of names) {
    const { sql, binds } = askDumpFile(directory, name);
    try {
      const { ftype, answer } = await session.execute(sql, binds, ['ftype', 'answer']);
      files.push(readDumpFile(name, Number(ftype ?? 0), answer ?? ''));
    } catch (error) {
      const { details, message, cause } = toClonaError(error);
      // What ORA-39211 wraps may be a version that is too new, which no other copy of the file would mend.
      const said = cause instanceof Error ? cause.message : message;
      if (/\bORA-39142\b/.test(said)) throw refusedCall(said, error);
      // ORA-39211: no information; ORA-31640: cannot be opened; the others (no right, connection) concern them all.
      if (!/^ORA-(?:39211|31640|31619|39143)$/.test(String(details?.['code']))) throw error;
      files.push({ ...readDumpFile(name, 0, ''), why: message });
    }
  }
  return files;
}

export interface ReadLog {
  path: string;
  text: string;
  judgement: JobLogJudgement;
}

export async function readJobLog(
  guest: Pick<Guest, 'platform' | 'readFile'>,
  path: string,
  signal: AbortSignal,
): Promise<ReadLog> {
  const text = decodeJobLog(await guest.readFile(path, signal));
  return { path, text, judgement: judgeJobLog(text) };
}

export interface ChosenDump {
  set: DumpSet;
  exportLog: ReadLog;
  folder: string;
}

/**
 * The dump set of these files with the log that its export wrote. The log must be one of a good export: rows are counted against
 * it, so a bad one proves nothing (R15, grade 2).
 */
export async function chooseDump(options: {
  session: OracleSession;
  guest: Pick<Guest, 'platform' | 'readFile'>;
  directory: string;
  files: readonly string[];
  /** Name in the directory, or a full path on the machine. */
  exportLog: string;
  signal: AbortSignal;
}): Promise<ChosenDump> {
  const { session, guest, directory, files, signal } = options;
  const folder = await readDirectoryPath(session, directory);
  const isPath = /[/\\]/.test(options.exportLog);
  const logPath = isPath ? options.exportLog : joinGuest(guest.platform, folder, options.exportLog);
  const exportLog = await readJobLog(guest, logPath, signal);
  const { verdict, kind, findings } = exportLog.judgement;
  if (kind !== 'expdp' && kind !== 'exp') {
    throw new ClonaError('jobLogUnknown', `${logPath} is not the log of an export`);
  }
  if (verdict === 'failed' || verdict === 'incomplete') {
    const [first] = findings;
    throw new ClonaError(
      'jobLogFailed',
      `the export itself is ${verdict}: ${first?.meaning ?? 'its log has no closing line'}`,
      {
        hint: 'an import of it could prove nothing: use an export whose log is good',
        details: { log: logPath, verdict, findings: findings.slice(0, 20) },
      },
    );
  }
  const found = await readDumpFiles(session, directory, files);
  const bad = found.find(({ type }) => type === 'unreadable' || type === 'external');
  if (bad !== undefined) {
    throw new ClonaError('proofFailed', `${bad.name} is no dump file: ${bad.why ?? bad.type}`, {
      hint: 'it may be cut off: compare its checksum with the original',
    });
  }
  const sets = groupDumpSets(found, readDumpNames(exportLog.text));
  const [set] = sets;
  if (set === undefined || sets.length > 1) {
    throw new ClonaError(
      'usage',
      `these files belong to ${sets.length} exports, not to one: ${files.join(', ')}`,
      {
        hint: 'name the files of one dump set',
        details: { sets: sets.map((one) => one.files.map(({ name }) => name)) },
      },
    );
  }
  return { set, exportLog, folder };
}
