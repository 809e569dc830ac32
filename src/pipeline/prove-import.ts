import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { acquireSiteLock } from '../control/lock.ts';
import {
  chooseNewestExport,
  type ArchiveSet,
  type ExportChoice,
} from '../databases/oracle/archives/kinds.ts';
import { scanArchiveFolder } from '../databases/oracle/archives/scan.ts';
import { connectOracle } from '../databases/oracle/connect.ts';
import { readSchemaName } from '../databases/oracle/import/clone-schema.ts';
import { importIntoCloneSchemas, type SchemaImportReport } from '../databases/oracle/import/import.ts';
import { readDumpFiles } from '../databases/oracle/import/read-dumps.ts';
import type { OriginalTool } from '../databases/oracle/import/run-original.ts';
import { recallOracle, rememberGrade } from '../databases/oracle/site-catalog.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import { ClonaError, toClonaError } from '../errors.ts';
import { openGuest } from '../guest/open.ts';
import { withProgress, type OnProgress } from '../progress.ts';
import { resolveDatabaseAddress } from '../site/address.ts';
import { resolveSecret } from '../site/secret.ts';
import type { Site } from '../site/site.ts';
import type { OpenedSite } from './open-site.ts';
import { newRunId } from './run-id.ts';

export interface ProvenImport {
  report: SchemaImportReport;
  rejected: ExportChoice['rejected'];
  evidence: string;
}

/**
 * Proves the newest export of an Oracle site by importing it into the CLONA schemas (grade 4). Which one is newest is said by the
 * exports' logs and by the dumps themselves, never by the dates of files. On record, whether it passed or failed.
 */
export async function proveImport(
  opened: OpenedSite,
  options: { by: string; signal: AbortSignal; onProgress: OnProgress },
): Promise<ProvenImport> {
  const { site, control, ledger } = opened;
  const { by, onProgress } = options;
  const wanted = requireImport(site);
  await using lock = await acquireSiteLock(control, { who: by, what: 'prove' }, new Date());
  const signal = AbortSignal.any([options.signal, lock.lost]);
  const live = await resolveDatabaseAddress(site.database);
  if (live === undefined)
    throw new ClonaError('siteInvalid', 'the site file gives no address of the database');
  const address = withServer(live, wanted.connectString);
  const run = newRunId('prove-import', new Date());
  const record = async (payload: Record<string, unknown>): Promise<string> =>
    (
      await ledger.append(
        { kind: 'archive.imported', run, key: run, payload: { by, ...payload } },
        new Date(),
      )
    ).hash;
  await using machine = await openMachine(site, live, signal);
  const files: string[] = [];
  try {
    const { report, rejected } = await importNewest({
      address,
      wanted,
      before: wanted.compareWithLive ? live : undefined,
      original: machine,
      label: run,
      onFiles: (names) => void files.push(...names),
      signal,
      onProgress,
    });
    const evidence = await record({ grade: report.passed ? 4 : 2, ...report });
    await rememberImport(site, files, report.passed, signal);
    return { report, rejected, evidence };
  } catch (error) {
    if (files.length === 0) throw error;
    const { code, message, details } = toClonaError(error);
    await record({
      grade: 2,
      passed: false,
      dump: { files },
      error: { code, message, details: details ?? null },
    });
    throw error;
  }
}

export interface ImportNewest {
  /** Of the server that imports. */
  address: DatabaseAddress;
  wanted: Wanted;
  before: DatabaseAddress | undefined;
  /** For dumps of the original exp; undefined: they are not looked at. */
  original: OriginalTool | undefined;
  label: string;
  /** Told which export was chosen, before the first row. */
  onFiles?: (names: readonly string[]) => void;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/** The newest export of the site by proof, imported into the CLONA schemas of a server; nothing is recorded. */
export async function importNewest(
  options: ImportNewest,
): Promise<Pick<ProvenImport, 'report' | 'rejected'>> {
  const { address, wanted, before, original, label, onFiles, signal, onProgress } = options;
  const kinds = original === undefined ? (['pump'] as const) : (['pump', 'original'] as const);
  const { chosen, rejected } = await withProgress(
    onProgress,
    'look for the newest export by proof',
    async () => choose(address, wanted, kinds, signal),
  );
  if (chosen === null) throw nothingUsable(wanted.folder, rejected);
  const files = chosen.files.map((path) => basename(path));
  onFiles?.(files);
  const report = await importIntoCloneSchemas({
    address,
    guest: { platform: 'linux', readFile: async (path, stop) => readHere(wanted.folder, path, stop) },
    schemas: wanted.schemas.map(readSchemaName),
    prefix: wanted.prefix,
    directory: wanted.directory,
    dumpFiles: files,
    exportLog: basename(chosen.name),
    tablespaces: wanted.tablespaces,
    defaultTablespace: wanted.defaultTablespace,
    encryptionPassword:
      wanted.encryptionPassword === undefined ? undefined : await resolveSecret(wanted.encryptionPassword),
    acceptCharacterLoss: wanted.acceptCharacterLoss,
    parallel: { degree: wanted.parallel, licensed: wanted.parallelLicensed },
    liveNames: { mode: wanted.liveNames, accepted: wanted.accepted },
    before,
    original,
    label,
    randomPassword: randomBytes(18).toString('base64url'),
    signal,
    onProgress,
  });
  return { report, rejected };
}

/** The catalog's entry of that export, where `clona catalog` has found it: by its dump files. */
async function rememberImport(
  { archive }: Site,
  files: readonly string[],
  passed: boolean,
  signal: AbortSignal,
): Promise<void> {
  const places = { archiveDir: archive.location, mirrorDir: archive.mirror };
  const known = await recallOracle(places, signal).catch(() => undefined);
  const names = new Set(files.map((path) => basename(path)));
  const entry = known?.catalog.backups.find(({ label, kind }) => {
    const own = (known.facts.pieces[label] ?? []).map((path) => basename(path));
    return kind === 'export' && [...names].every((name) => own.includes(name));
  });
  if (entry === undefined) return;
  const grade = passed ? Math.max(4, entry.grade ?? 0) : Math.min(2, entry.grade ?? 0);
  await rememberGrade(places, entry.label, grade, signal);
}

type Wanted = NonNullable<NonNullable<Site['database']['oracle']>['import']>;

function requireImport({ database }: Site): Wanted {
  const wanted = database.oracle?.import;
  if (wanted !== undefined) return withNames(wanted);
  throw new ClonaError('siteInvalid', 'the site file says nothing of an import (database.oracle.import)', {
    hint: 'docs/how-to/oracle-import.md shows what it needs; PostgreSQL is imported by clona refresh',
  });
}

/** Names are written as in SQL: without quotes in any case. The dictionary knows them in capitals. */
function withNames(wanted: Wanted): Wanted {
  const { directory, tablespaces, defaultTablespace } = wanted;
  const pairs = Object.entries(tablespaces).map(([from, to]) => [readSchemaName(from), readSchemaName(to)]);
  return {
    ...wanted,
    directory: readSchemaName(directory),
    tablespaces: Object.fromEntries(pairs) as Record<string, string>,
    defaultTablespace: readSchemaName(defaultTablespace),
  };
}

function withServer(live: DatabaseAddress, connectString: string | undefined): DatabaseAddress {
  return connectString === undefined ? live : { ...live, oracle: { ...live.oracle, connectString } };
}

/** imp runs on the machine of the database alone: undefined where the site names no way into it, or imports elsewhere. */
async function openMachine(
  site: Site,
  { host, user, password }: DatabaseAddress,
  signal: AbortSignal,
): Promise<(OriginalTool & AsyncDisposable) | undefined> {
  const { oracle, name } = site.database;
  const { guest } = site;
  if (
    guest?.hostKey === undefined ||
    oracle?.home === undefined ||
    oracle.import?.connectString !== undefined
  ) {
    return undefined;
  }
  const opened = await openGuest(
    {
      endpoint: { kind: 'tcp', host, port: guest.port },
      user: guest.user,
      privateKeyFile: guest.privateKey,
      hostKey: guest.hostKey,
      platform: guest.platform,
    },
    signal,
  );
  return {
    guest: opened,
    home: oracle.home,
    instanceName: oracle.instance ?? name ?? '',
    logon: { kind: 'prompt', user, password: password ?? '' },
    [Symbol.asyncDispose]: async () => opened[Symbol.asyncDispose](),
  };
}

/** A DIRECTORY object has no folders in it: what lies deeper cannot be imported from there. */
async function choose(
  address: DatabaseAddress,
  wanted: Wanted,
  kinds: readonly ArchiveSet['kind'][],
  signal: AbortSignal,
): Promise<ExportChoice> {
  const sets = (await scanArchiveFolder(wanted.folder, signal)).map((set) =>
    refuseDeeper(set, wanted.folder),
  );
  await using session = await connectOracle(address, signal, { module: 'clona import' });
  const writtenAt = new Map<string, number>();
  for (const { kind, usable, files } of sets) {
    if (kind !== 'pump' || !usable) continue;
    const names = files.map((path) => basename(path));
    for (const { name, createdAt } of await readDumpFiles(session, wanted.directory, names)) {
      const at = createdAt === null ? Number.NaN : Date.parse(`${createdAt} UTC`);
      writtenAt.set(join(resolve(wanted.folder), name), Number.isNaN(at) ? 0 : at);
    }
  }
  return chooseNewestExport(sets, writtenAt, kinds);
}

function refuseDeeper(set: ArchiveSet, folder: string): ArchiveSet {
  const top = resolve(folder);
  const files = set.files.map((path) => resolve(path));
  if (files.every((path) => dirname(path) === top)) return { ...set, files };
  return {
    ...set,
    files,
    usable: false,
    reasons: [...set.reasons, 'it lies in a folder below: the DIRECTORY does not reach it'],
  };
}

function nothingUsable(folder: string, rejected: ExportChoice['rejected']): ClonaError {
  const why = rejected.map(({ name, reasons }) => `${basename(name)}: ${reasons.join('; ')}`);
  return new ClonaError(
    'archiveAbsent',
    `no export in ${folder} can be proven${why.length === 0 ? '' : ` (${why.slice(0, 3).join(' · ')})`}`,
    {
      hint: 'an export needs its dump files and its whole log beside them',
      details: { rejected },
    },
  );
}

/** The server's paths are not ours: what lies in its directory lies in the folder by the same name. */
async function readHere(folder: string, path: string, signal: AbortSignal): Promise<Buffer> {
  const here = join(folder, path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1));
  try {
    return await readFile(here, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new ClonaError('fileUnreadable', `cannot read ${here}`, {
      cause: error,
      hint: 'database.oracle.import.folder must be the folder of the DIRECTORY object, as this host sees it',
    });
  }
}
