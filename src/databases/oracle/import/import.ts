import { ClonaError, toClonaError } from '../../../errors.ts';
import type { Guest } from '../../../guest/guest.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import type { JobLogVerdict } from '../../../proof/job-log.ts';
import { connectOracle, type OracleSession } from '../connect.ts';
import type { DatabaseAddress } from '../../database.ts';
import { joinGuest } from '../rman-text.ts';
import { decideDump } from './decide-dump.ts';
import { markClone, pairSchemas, type SchemaPair } from './clone-schema.ts';
import type { LiveNamePolicy } from './code-objects.ts';
import type { ImportFinding } from './compare.ts';
import { examineClone, readBefore, type BeforeFacts } from './examine.ts';
import { importFailure } from './import-failure.ts';
import { makeCloneUsers } from './make-users.ts';
import { chooseDump, readJobLog, type ChosenDump, type ReadLog } from './read-dumps.ts';
import { runOriginalImport, type OriginalTool } from './run-original.ts';
import { readServer } from './read-schema.ts';
import { runImportJob } from './run-job.ts';
import { allowedDegree, type ImportJob } from './job-text.ts';

export interface SchemaImportOptions {
  /** Of the server that imports; the user needs DATAPUMP_IMP_FULL_DATABASE and DBA views. */
  address: DatabaseAddress;
  /** The server's machine: there lie dump, log of the export, log of the import. */
  guest: Pick<Guest, 'platform' | 'readFile'>;
  /** As the dictionary writes them (readSchemaName). */
  schemas: readonly string[];
  prefix: string;
  /** DIRECTORY object in which the dump files lie; the import's log goes there. */
  directory: string;
  dumpFiles: readonly string[];
  exportLog: string;
  tablespaces: Readonly<Record<string, string>>;
  defaultTablespace: string;
  encryptionPassword?: string | undefined;
  /** Goes on where this database's character set lacks letters of the dump's; default false. */
  acceptCharacterLoss?: boolean | undefined;
  parallel: ImportJob['parallel'];
  liveNames: LiveNamePolicy;
  /** Where LIVE's schemas still are as they were exported (the restored database): compared before and after. */
  before?: DatabaseAddress | undefined;
  /** Unique in the server: name of the job and of its log. */
  label: string;
  /** For servers before 18c, whose users must have one; nobody is told. */
  randomPassword: string;
  /** For dumps of the original exp; without it they are refused. */
  original?: OriginalTool | undefined;
  pollMs?: number | undefined;
  /** How long the import may wait for room in a tablespace. Default one minute. */
  roomWaitMs?: number | undefined;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/** Evidence of grade 4 for Oracle. */
export interface SchemaImportReport {
  passed: boolean;
  schemas: SchemaPair[];
  dump: { guid: string | null; files: string[]; version: string | null };
  exportVerdict: JobLogVerdict;
  importVerdict: JobLogVerdict;
  importLog: string;
  tables: number;
  rows: string;
  constraints: number;
  rewritten: string[];
  findings: ImportFinding[];
  warnings: string[];
  seconds: number;
}

/**
 * Grade 4 (R15): every row of an export is imported into schemas of our own, beside LIVE's and without any right on them, and held
 * against the log of the export. Nothing is created before the dump is known to fit. What fails after that leaves the copy marked
 * `unusable` with the reason in it, and is thrown; findings alone make the report not passed. Driver-verified, not Oracle-verified.
 */
export async function importIntoCloneSchemas(options: SchemaImportOptions): Promise<SchemaImportReport> {
  const { signal, onProgress } = options;
  const started = performance.now();
  await using session = await connectOracle(options.address, signal, { module: 'clona import' });
  const server = await readServer(session);
  const pairs = pairSchemas(options.schemas, options.prefix, nameLimit(server.compatible ?? server.version));
  const chosen = await withProgress(onProgress, 'examine the dump', async () =>
    chooseDump({ ...options, files: options.dumpFiles, session }),
  );
  const { set, exportLog } = chosen;
  if (set.type === 'original' && options.original === undefined) throw unreadable(options.dumpFiles);
  const { warnings } = decideDump(set, server, {
    encryptionPassword: options.encryptionPassword !== undefined,
    acceptCharacterLoss: options.acceptCharacterLoss,
  });
  const before = await withProgress(onProgress, 'read the schemas as they were', async () =>
    readBefore(options, pairs),
  );
  const job = describe(options, pairs);
  await makeCloneUsers({ session, pairs, job, ...options, majorVersion: server.majorVersion });
  try {
    const report = await importAndExamine({ options, session, job, before, chosen });
    const { findings, passed } = report;
    const first = findings.find(({ severity }) => severity === 'failed');
    const why = first === undefined ? '' : `${first.object} ${first.text}`;
    await mark(options, pairs, passed ? 'usable' : 'unusable', why);
    const version = set.files[0]?.databaseVersion ?? null;
    return {
      ...report,
      schemas: pairs,
      dump: { guid: set.guid, files: set.files.map(({ name }) => name), version },
      exportVerdict: exportLog.judgement.verdict,
      warnings: [...warnings, ...report.warnings],
      seconds: (performance.now() - started) / 1000,
    };
  } catch (error) {
    await mark(options, pairs, 'unusable', toClonaError(error).message);
    throw error;
  }
}

function describe(options: SchemaImportOptions, pairs: readonly SchemaPair[]): ImportJob {
  const { label, tablespaces, directory, dumpFiles } = options;
  const parallel = { degree: allowedDegree(options.parallel), licensed: options.parallel.licensed };
  const word = label
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, '_')
    .slice(-24);
  const name = `CLONA_${word}`;
  return { name, pairs, tablespaces, directory, dumpFiles, logFile: `${name.toLowerCase()}.log`, parallel };
}

function nameLimit(version: string): 30 | 128 {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 12 || (major === 12 && minor >= 2) ? 128 : 30;
}

interface Examined {
  options: SchemaImportOptions;
  session: OracleSession;
  job: ImportJob;
  before: ReadonlyMap<string, BeforeFacts>;
  chosen: ChosenDump;
}

type ExaminedReport = Omit<SchemaImportReport, 'schemas' | 'dump' | 'exportVerdict' | 'seconds'>;

async function importAndExamine(work: Examined): Promise<ExaminedReport> {
  const { options, session, job, before, chosen } = work;
  const log = await moveRows(work);
  const failure = importFailure(log.judgement, log.text);
  if (failure !== undefined) throw failure;
  const report: ExaminedReport = {
    passed: true,
    importVerdict: log.judgement.verdict,
    importLog: log.path,
    tables: 0,
    rows: '0',
    constraints: 0,
    rewritten: [],
    findings: [],
    warnings: log.judgement.findings.map(
      ({ line, meaning }) => `line ${line} of the import's log: ${meaning}`,
    ),
  };
  for (const pair of job.pairs) {
    const examined = await examineClone({
      options,
      session,
      pair,
      before: before.get(pair.live),
      exported: chosen.exportLog.judgement,
    });
    report.tables += examined.tables;
    report.rows = String(BigInt(report.rows) + examined.rows);
    report.constraints += examined.constraints;
    report.rewritten.push(...examined.rewritten);
    report.findings.push(...examined.findings);
  }
  report.passed = !report.findings.some(({ severity }) => severity === 'failed');
  return report;
}

/** By DBMS_DATAPUMP through the driver, or by imp on the machine for what only imp reads. */
async function moveRows({ options, session, job, chosen }: Examined): Promise<ReadLog> {
  const { guest, signal, onProgress, encryptionPassword, pollMs, roomWaitMs, original } = options;
  const { set, folder } = chosen;
  if (set.type === 'original' && original !== undefined) {
    return runOriginalImport({ tool: original, job, folder, signal, onProgress });
  }
  const openOther = async (): Promise<OracleSession> =>
    connectOracle(options.address, AbortSignal.timeout(15_000));
  await withProgress(onProgress, `import ${job.name}`, async () =>
    runImportJob({ session, job, encryptionPassword, pollMs, roomWaitMs, openOther, signal, onProgress }),
  );
  return readJobLog(guest, joinGuest(guest.platform, folder, job.logFile), signal);
}

function unreadable(files: readonly string[]): ClonaError {
  return new ClonaError(
    'serverUnfit',
    `${files.join(', ')} is a dump of the original exp, which Data Pump cannot read`,
    { hint: 'it is imported by imp on the machine: guest and database.oracle.home must say where that is' },
  );
}

/** In a session of its own: the one of the import may be the reason for the failure, or have been interrupted. */
async function mark(
  { address }: SchemaImportOptions,
  pairs: readonly SchemaPair[],
  state: 'usable' | 'unusable',
  why: string,
): Promise<void> {
  try {
    await using session = await connectOracle(address, AbortSignal.timeout(15_000), {
      module: 'clona import',
    });
    for (const pair of pairs) await session.execute(markClone(pair, state, why));
    await session.driver.commit();
  } catch (error) {
    // The mark says `importing` then, which is not `usable` either.
    if (state === 'usable') throw error;
  }
}
