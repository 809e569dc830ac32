import { join } from 'node:path/posix';
import { ClonaError, toClonaError } from '../../../errors.ts';
import { withProgress } from '../../../progress.ts';
import { formatTimeline } from '../lsn.ts';
import type { RestoreContext, StartRequest } from './context.ts';
import { configureCluster, type ConfigureOutcome } from './configure.ts';
import { defaultWorkers } from './default-workers.ts';
import { mebibytes } from './estimate.ts';
import { openLogFeed, type LogFeed } from './log-feed.ts';
import { enterCluster, findEntry, putInOrder, type Entry, type OpenFindings } from './open.ts';
import type { PlaceServer } from './place/place.ts';
import { readReached, recover, type Reached, type Recovered } from './recover.ts';
import { unpackStep, type UnpackOutcome } from './unpack/unpack.ts';

/** What was done and found while a cluster was made. */
export interface MadeCluster {
  unpacked: UnpackOutcome;
  configured: ConfigureOutcome;
  reached: Reached;
  recovered: Pick<Recovered, 'lastTransactionTime' | 'warnings'>;
  findings: OpenFindings;
  logRepairs: string[];
  logBytes: number;
  unpackSeconds: number;
  redoSeconds: number;
  /** null: it starts with its own configuration too; else why not. */
  ownConfigurationProblem: string | null;
  isRunning: boolean;
}

/** Unpack, configure, replay, put in order, try its own configuration, switch. Each stage may be repeated. */
export async function makeCluster(context: RestoreContext): Promise<MadeCluster> {
  const { place, layout, onProgress, options } = context;
  const feed = await makeFeed(context);
  const unpackMs = performance.now();
  const unpacked = await unpack(context);
  // From here on the files change: nothing that was unpacked may be taken for finished by another run.
  await place.remove(layout.unpacked);
  const unpackSeconds = (performance.now() - unpackMs) / 1000;
  const configured = await withProgress(
    onProgress,
    'configure',
    async () => configureCluster(place, layout.partial, tablespacesOf(context)),
    ({ changes }) => `${changes.length} settings put out of action`,
  );
  const redoMs = performance.now();
  const recovered = await withProgress(onProgress, 'replay the log', async () => replay(context, feed));
  const redoSeconds = (performance.now() - redoMs) / 1000;
  const { reached, findings } = await withProgress(onProgress, 'open and put in order', async () =>
    openAndClose(context, recovered),
  );
  const ownConfigurationProblem = await withProgress(
    onProgress,
    'start with its own configuration',
    async () => tryOwnConfiguration(context),
  );
  await publish(context);
  const isRunning = options.start !== undefined;
  if (options.start !== undefined) await startForUse(context, options.start);
  return {
    unpacked,
    configured,
    reached,
    recovered,
    findings,
    logRepairs: feed.repairs,
    logBytes: feed.bytes(),
    unpackSeconds,
    redoSeconds,
    ownConfigurationProblem,
    isRunning,
  };
}

/** The first window of log is proven before hours go into unpacking. */
async function makeFeed({
  place,
  archive,
  selection,
  layout,
  options,
  onProgress,
}: RestoreContext): Promise<LogFeed> {
  const feed = await openLogFeed({
    place,
    archive,
    segments: selection.segments,
    folder: layout.feed,
    workers: options.workers ?? defaultWorkers(),
  });
  await withProgress(
    onProgress,
    'unpack the log',
    async () => feed.begin(),
    () => `${selection.segments.length} segments`,
  );
  return feed;
}

export function tablespacesOf({ copies, layout, options }: RestoreContext): Map<number, string> {
  const archives = copies[0]?.header.archives ?? [];
  return new Map(
    archives.flatMap(({ tablespaceOid: oid }) =>
      oid === null
        ? []
        : [[oid, options.tablespaces?.get(oid) ?? join(layout.tablespaces, String(oid))] as const],
    ),
  );
}

async function unpack(context: RestoreContext): Promise<UnpackOutcome> {
  const { place, layout, copies, onProgress } = context;
  const [first] = copies;
  if (first === undefined) throw new ClonaError('internal', 'no copy of the backup was chosen');
  const tablespaces = tablespacesOf(context);
  if (tablespaces.size > 0) await place.makeFolder(layout.tablespaces);
  return withProgress(
    onProgress,
    unpackStep,
    async () =>
      place.unpack({
        header: first.header,
        manifest: first.manifest,
        sources: copies
          .filter(({ header }) => header.manifestSha256 === first.header.manifestSha256)
          .map(({ dir }) => dir),
        root: layout.partial,
        journal: layout.unpacked,
        tablespaces,
        onProgress,
      }),
    ({ bytes, writtenBytes, reusedFiles }) =>
      `${mebibytes(bytes)} MiB, ${mebibytes(writtenBytes)} MiB written, ${reusedFiles} files reused`,
  );
}

async function replay(context: RestoreContext, feed: LogFeed): Promise<Recovered> {
  const { place, layout, archive, copies, selection, options, signal } = context;
  const [first] = copies;
  if (first === undefined) throw new ClonaError('internal', 'no copy of the backup was chosen');
  return recover({
    place,
    layout,
    archive,
    header: first.header,
    selection,
    feed,
    sharedBuffers: options.sharedBuffers ?? '128MB',
    signal,
  });
}

async function openAndClose(
  context: RestoreContext,
  recovered: Recovered,
): Promise<{ reached: Reached; findings: OpenFindings }> {
  const { place, layout, options, signal } = context;
  let { server } = recovered;
  try {
    let entry = await findOurEntry(context, server);
    if (entry === null) {
      await server.stop('fast');
      const user = await askForUser(context, recovered);
      server = await startAgain(context, recovered);
      entry = await findOurEntry(context, server, user);
    }
    if (entry === null) {
      throw new ClonaError('databaseFailed', 'no superuser gets into the restored cluster', {
        hint: 'neither template1 nor postgres lets anybody in; name a superuser with --user',
      });
    }
    const timeline = await readTimeline(server, entry, signal);
    const reached = await readReached(place, layout.partial, timeline);
    await announceTimeline(context, timeline);
    const onCollationMismatch = options.onCollationMismatch ?? 'reindex';
    const findings = await putInOrder({ server, entry, onCollationMismatch, signal });
    await server.stop('fast');
    return { reached, findings };
  } catch (error) {
    await server.stop('immediate').catch(() => {});
    throw error;
  }
}

async function findOurEntry(
  { options, signal }: RestoreContext,
  server: PlaceServer,
  ...first: string[]
): Promise<Entry | null> {
  const candidates = [...first, ...(options.users ?? []), 'postgres'];
  return findEntry((database, name) => server.address(database, name), candidates, signal);
}

/** The role with number 10 is the one that initdb made (pg_authid.dat). */
async function askForUser({ place, layout }: RestoreContext, { settings }: Recovered): Promise<string> {
  const said = await place.askAlone(
    layout.partial,
    settings,
    'SELECT rolname FROM pg_catalog.pg_authid WHERE oid = 10',
  );
  const [, user] = /rolname = "(.*)"\t\(typeid/.exec(said) ?? [];
  if (user !== undefined) return user;
  throw new ClonaError('databaseFailed', 'no superuser of the restored cluster was found', {
    hint: 'name one with --user',
  });
}

async function startAgain(
  { place, layout, signal }: RestoreContext,
  { settings }: Recovered,
): Promise<PlaceServer> {
  const { partial: dataDir, logFile } = layout;
  return place.startServer({ dataDir, logFile, settings, timeoutMs: ownStartTimeoutMs, signal });
}

/**
 * It was opened without archiving, so the server has not asked for its new .history file to be archived. If this copy
 * becomes production one day and archiving is turned on, an archive without that file could not tell where its log belongs.
 */
async function announceTimeline({ place, layout }: RestoreContext, timeline: number): Promise<void> {
  const status = join(layout.partial, 'pg_wal', 'archive_status');
  await place.writeText(join(status, `${formatTimeline(timeline)}.history.ready`), '');
}

/** The timeline that is being written to, which is not always the one in pg_control yet. */
async function readTimeline(server: PlaceServer, entry: Entry, signal: AbortSignal): Promise<number> {
  await using session = await enterCluster(server.address(entry.database, entry.user), signal);
  const [row] = await session.query<{ name: string; recovering: boolean }>(
    `SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) AS name, pg_catalog.pg_is_in_recovery() AS recovering`,
  );
  if (row === undefined || row.recovering)
    throw new ClonaError('recoveryFailed', 'the server is still in recovery');
  return Number.parseInt(row.name.slice(0, 8), 16);
}

const ownStartTimeoutMs = 120_000;

/** It was opened with clona's configuration: now with its own, still without network. A failure does not spoil the data. */
async function tryOwnConfiguration({ place, layout, signal }: RestoreContext): Promise<string | null> {
  try {
    const server = await place.startServer({
      dataDir: layout.partial,
      logFile: layout.logFile,
      // What it writes when it stops must be on the disk before it is called whole.
      settings: { logging_collector: 'off', fsync: 'on' },
      timeoutMs: ownStartTimeoutMs,
      signal,
    });
    await server.stop('fast');
    return null;
  } catch (error) {
    signal.throwIfAborted();
    await place.stopServer(layout.partial);
    const cause = toClonaError(error).cause;
    const said = cause instanceof Error ? cause.message : toClonaError(error).message;
    return /(?:FATAL|PANIC):.*/.exec(said)?.[0] ?? said.slice(-300);
  }
}

/** The switch: from here on it looks whole, because it is. */
async function publish({ place, layout }: RestoreContext): Promise<void> {
  await place.remove(join(layout.partial, 'postmaster.opts'));
  const log = `${layout.target}.log`;
  if (place.isForAnother && !(await place.isThere(log))) await place.writeText(log, '');
  await place.rename(layout.partial, layout.target);
  await place.remove(layout.work);
}

async function startForUse({ place, layout, signal }: RestoreContext, start: StartRequest): Promise<void> {
  await place.startServer({
    dataDir: layout.target,
    logFile: `${layout.target}.log`,
    settings: {},
    listen: start,
    timeoutMs: ownStartTimeoutMs,
    signal,
  });
}
