import { ClonaError } from '../../errors.ts';
import { withProgress, type OnProgress } from '../../progress.ts';
import type { JobLogJudgement } from '../../proof/job-log.ts';
import type { Backup } from '../../recovery/catalog.ts';
import type { DatabaseAddress } from '../database.ts';
import { connectOracle } from './connect.ts';
import { describeExport } from './export-entry.ts';
import { makeFolder, runExpdp, type OracleTools } from './guest-tools.ts';
import { readDirectoryPath, readJobLog } from './import/read-dumps.ts';
import { joinGuest, quoteName } from './rman-text.ts';
import { readOracleCatalog, rememberBackup, rememberOracle, type OraclePlaces } from './site-catalog.ts';

export interface ExportTask {
  address: DatabaseAddress;
  tools: OracleTools;
  places: OraclePlaces;
  /** Letters, digits, _ and -: names its files. */
  label: string;
  /** The DIRECTORY object, and the schemas as the dictionary has them. */
  directory: string;
  schemas: readonly string[];
  onProgress: OnProgress;
  now: () => Date;
}

export interface TakenExport {
  backup: Backup;
  judgement: JobLogJudgement;
  warnings: string[];
}

/**
 * A Data Pump export of schemas as of one SCN (FLASHBACK_SCN), one worker, nothing that must be licensed; its log is judged from its
 * whole text and the dump files are looked for, then it is part of the catalog (grade 2 for a good log and a whole set). Throws
 * `jobLogFailed` that says what the log says: ORA-01555 above all, for a consistent export needs undo for as long as it runs.
 */
export async function takeExport(task: ExportTask): Promise<TakenExport> {
  const { address, tools, places, label, directory, schemas, onProgress, now } = task;
  if (!/^[A-Za-z][\w-]{0,60}$/.test(label))
    throw new ClonaError('usage', `"${label}" is no name for an export`);
  const before = await readOracleCatalog(address, places, tools.signal);
  if (before.readAt !== undefined) await rememberOracle(before, places, before.readAt);
  const { scn, path } = await readStart(task);
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  await requireNewNames(tools, path, label);
  const log = joinGuest(tools.guest.platform, path, `${label}.log`);
  const startedAt = now().toISOString();
  const { text } = await withProgress(onProgress, `export as of SCN ${scn}`, async () =>
    runExpdp(tools, [
      `directory=${directory}`,
      `dumpfile=${label}_%U.dmp`,
      `logfile=${label}.log`,
      `schemas=${schemas.map((name) => quoteName(name, 'a schema')).join(',')}`,
      `flashback_scn=${scn}`,
    ]),
  );
  const found = await readJobLog(tools.guest, log, tools.signal).catch(() => {
    tools.signal.throwIfAborted();
    throw refused(text);
  });
  const { judgement } = found;
  if (judgement.verdict === 'failed' || judgement.verdict === 'incomplete') throw explain(judgement, scn);
  const entry = describeExport(before.catalog, {
    log: found.text,
    finishedMs: now().getTime(),
    dumpFiles: [],
    label,
  });
  const sizes = await Promise.all(entry.dumpFiles.map(async (file) => sizeOf(tools, file)));
  const isWhole = sizes.length > 0 && sizes.every((size) => size !== null);
  const backup: Backup = {
    ...entry.backup,
    startedAt,
    bytes: isWhole ? sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) : null,
    grade: isWhole && entry.logIsOk ? 2 : 0,
  };
  const warnings = [
    ...entry.warnings,
    ...(isWhole ? [] : ['not every dump file that its log names is there']),
  ];
  await rememberBackup(places, backup, [...entry.dumpFiles, log], tools.signal);
  return { backup, judgement, warnings };
}

/** A log of an earlier export under the same name would be judged for the one of now. */
async function requireNewNames({ guest, signal }: OracleTools, folder: string, label: string): Promise<void> {
  const found = (await guest.list(folder, signal)).find(
    (name) => name === `${label}.log` || (name.startsWith(`${label}_`) && /_\d+\.dmp$/i.test(name)),
  );
  if (found === undefined) return;
  throw new ClonaError('targetOccupied', `${folder} holds ${found} already: nothing is written over`, {
    hint: 'give another --label',
  });
}

async function readStart({ address, tools, directory }: ExportTask): Promise<{ scn: string; path: string }> {
  await using session = await connectOracle(address, tools.signal, { module: 'clona export' });
  const path = await readDirectoryPath(session, directory);
  const [[scn = null] = []] = await session.query('SELECT CURRENT_SCN FROM V$DATABASE');
  if (scn !== null && scn !== '0') return { scn, path };
  throw new ClonaError('databaseFailed', 'the database is not open: nothing can be exported', {
    hint: 'ALTER DATABASE OPEN',
  });
}

/** Before it wrote a log: what it said on the screen. */
function refused(text: string): ClonaError {
  const said = text.split('\n').filter((line) => /\b(?:ORA|UDE|LRM)-\d/.test(line));
  const [code] = /\b(?:ORA|UDE|LRM)-\d{5}/.exec(said.join('\n')) ?? [];
  return new ClonaError(
    'jobLogFailed',
    `the export did not begin: ${said.slice(0, 3).join(' ').slice(0, 300)}`,
    {
      hint: 'is the DIRECTORY right, and has SYS the right to write there?',
      details: { code: code ?? null, output: text.slice(-2000) },
    },
  );
}

const undo = new Set(['ORA-01555', 'ORA-22924', 'ORA-01466', 'ORA-08180', 'ORA-08181']);
const room = new Set([
  'ORA-39095',
  'ORA-31643',
  'ORA-19502',
  'ORA-27072',
  'ORA-01653',
  'ORA-01652',
  'ORA-27063',
]);

function explain({ verdict, errors, closing, findings }: JobLogJudgement, scn: string): ClonaError {
  const details = { verdict, errors, closing };
  if (errors.some((code) => undo.has(code))) {
    return new ClonaError(
      'jobLogFailed',
      `the export could not read its rows as of SCN ${scn} any more (${errors.find((code) => undo.has(code)) ?? ''})`,
      {
        hint: 'raise UNDO_RETENTION above the time it takes and the undo tablespace with it, or export at a quieter time; its files are no archive',
        details,
      },
    );
  }
  if (errors.some((code) => room.has(code))) {
    return new ClonaError(
      'diskFull',
      `the export ran out of room (${errors.find((code) => room.has(code)) ?? ''})`,
      {
        hint: 'make room in the folder of its DIRECTORY; its files are no archive',
        details,
      },
    );
  }
  const first = findings.find(({ effect }) => effect === 'failed')?.meaning ?? 'it has no closing line';
  return new ClonaError('jobLogFailed', `the export is ${verdict}: ${first}`, {
    hint: 'its files are no archive; clona prove --job-log says why, line by line',
    details,
  });
}

async function sizeOf({ guest, signal }: OracleTools, path: string): Promise<number | null> {
  if (guest.platform === 'windows') return null;
  const { exitCode, stdout } = await guest.run(['stat', '-c', '%s', '--', path], { signal });
  return exitCode === 0 ? Number(stdout.trim()) : null;
}
