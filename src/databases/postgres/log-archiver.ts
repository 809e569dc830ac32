import { watch } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Archive } from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import type { DatabaseAddress } from '../database.ts';
import { connect, type Connection } from './connect.ts';
import { openDrainer, type DrainOptions, type DrainResult } from './log-archive.ts';
import { ensureSlot, switchLog } from './log-slot.ts';

export interface LogArchiverOptions extends Omit<DrainOptions, 'slot'> {
  /** The slot's server; a session is opened when needed and again after it was lost. */
  slot?: { address: DatabaseAddress; name: string } | undefined;
  /** Between looks at the spool when nothing tells of new files, in milliseconds. Default 1000. */
  intervalMs?: number | undefined;
  workers?: number | undefined;
  /** Told after every pass that moved something or met a problem. */
  onDrained?: ((result: DrainResult) => void) | undefined;
}

/** Archives the log as long as it is open. Disposing ends it after the batch at hand; what is left stays in the spool. */
export interface LogArchiver extends AsyncDisposable {
  /** One pass now; waits for the one at work. Throws only for what ends archiving altogether (the spool is gone …). */
  drain: () => Promise<DrainResult>;
}

export async function startLogArchiver(options: LogArchiverOptions): Promise<LogArchiver> {
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  for (const archive of [options.archive, options.mirror])
    if (archive !== undefined) await sweepUnfinished(archive);
  let session: Connection | undefined;
  const withSlot = async (): Promise<DrainOptions['slot']> => {
    if (options.slot === undefined) return undefined;
    session ??= await connect(options.slot.address, undefined, { applicationName: 'clona log archiver' });
    await ensureSlot(session, options.slot.name);
    return { session, name: options.slot.name };
  };
  // Fails at once where the slot cannot be had; later failures are problems of a pass.
  const drainOptions: DrainOptions = { ...options, signal, slot: await withSlot() };
  const drainer = openDrainer(drainOptions, options.workers);
  let turn: Promise<unknown> = Promise.resolve();

  const pass = async (): Promise<DrainResult> => {
    try {
      drainOptions.slot = await withSlot();
      const result = await drainer.drain();
      if (result.archived.length > 0 || result.problems.length > 0) options.onDrained?.(result);
      return result;
    } catch (error) {
      // A lost session is opened anew next time; the server may be restarting.
      await session?.[Symbol.asyncDispose]();
      session = undefined;
      throw error;
    }
  };
  const drain = async (): Promise<DrainResult> => {
    const next = turn.then(pass, pass);
    turn = next.catch(() => {});
    return next;
  };
  const loop = keepDraining(drain, options, signal);
  return {
    drain,
    [Symbol.asyncDispose]: async () => {
      stop.abort(new ClonaError('interrupted', 'the log archiver is closed'));
      await loop;
      await turn;
      await drainer[Symbol.asyncDispose]();
      await session?.[Symbol.asyncDispose]();
    },
  };
}

async function keepDraining(
  drain: () => Promise<DrainResult>,
  options: LogArchiverOptions,
  signal: AbortSignal,
): Promise<void> {
  const interval = options.intervalMs ?? 1000;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const { problems } = await drain();
      failures = problems.length === 0 ? 0 : failures + 1;
    } catch (error) {
      if (signal.aborted) break;
      failures += 1;
      const problem =
        error instanceof ClonaError ? error : new ClonaError('internal', String(error), { cause: error });
      options.onDrained?.({
        archived: [],
        rawBytes: 0,
        compressedBytes: 0,
        problems: [problem],
        slotPosition: undefined,
      });
    }
    // What fails is tried less and less often, at least every 16 intervals.
    await waitForNews(options.spoolDir, interval * 2 ** Math.min(failures, 4), failures > 0, signal);
  }
}

/** Until something appears in the spool, or the time is over. Not every file system tells of changes: hence the time. */
async function waitForNews(
  spoolDir: string,
  timeMs: number,
  ignoresNews: boolean,
  signal: AbortSignal,
): Promise<void> {
  const news = new AbortController();
  const watcher = (() => {
    try {
      return ignoresNews
        ? undefined
        : watch(spoolDir, (_event, name) => {
            // The server writes under another name first.
            if (name === null || !name.startsWith('archtemp')) news.abort();
          });
    } catch {
      return undefined;
    }
  })();
  watcher?.on('error', () => {});
  try {
    await wait(timeMs, undefined, { signal: AbortSignal.any([signal, news.signal]), ref: false });
  } catch {
    // News or the end: either way the wait is over.
  } finally {
    watcher?.close();
  }
}

const unfinishedLifetimeMs = 3600 * 1000;

/** Removes what a killed archiver left half written, once it is so old that nobody can still be writing it. */
async function sweepUnfinished(archive: Archive): Promise<void> {
  const log = join(archive.folder, 'log');
  const timelines = (await readdir(log).catch(() => [])).filter((name) => /^[0-9A-F]{8}$/.test(name));
  for (const folder of [log, ...timelines.map((name) => join(log, name))]) {
    // One that is away has nothing to sweep, and keeps the other from nothing: each pass says it.
    for (const name of await readdir(folder).catch(() => [])) {
      if (!name.startsWith('.') || !name.endsWith('.new')) continue;
      const path = join(folder, name);
      const status = await stat(path).catch(() => undefined);
      if (status !== undefined && Date.now() - status.mtimeMs > unfinishedLifetimeMs)
        await rm(path, { force: true });
    }
  }
}

/**
 * Makes the server hand over everything written so far and waits until it is in archive and mirror. Throws
 * `databaseFailed` after `timeoutMs` (default 60 000), with what the server's archiver or ours says.
 */
export async function archiveEverything(
  address: DatabaseAddress,
  archiver: LogArchiver,
  options: {
    timeoutMs?: number;
    signal?: AbortSignal;
    /** Where there are problems: whether what is stored is enough all the same. */
    isEnough?: (name: string, problems: readonly ClonaError[]) => Promise<boolean>;
  } = {},
): Promise<string> {
  await using session = await connect(address, options.signal);
  const name = await switchLog(session);
  const until = performance.now() + (options.timeoutMs ?? 60_000);
  for (;;) {
    const [row] = await session.query<{ done: boolean; failed: string | null }>(
      `SELECT coalesce(substr(last_archived_wal, 9, 16) COLLATE "C" >= substr($1, 9), false) AS done, last_failed_wal AS failed
         FROM pg_catalog.pg_stat_archiver`,
      [name],
    );
    const { problems } = await archiver.drain();
    if (row?.done === true && (problems.length === 0 || (await options.isEnough?.(name, problems)) === true))
      return name;
    if (performance.now() > until) {
      throw new ClonaError('databaseFailed', `segment ${name} did not get into every archive in time`, {
        cause:
          problems[0] ??
          (row?.failed ? new Error(`the server could not archive ${row.failed}; see its log`) : undefined),
      });
    }
    await wait(50, undefined, { signal: options.signal });
  }
}
