import { describeWriter } from '../../../archive/writer.ts';
import type { Archive } from '../../../archive/repository.ts';
import { ClonaError, toClonaError } from '../../../errors.ts';
import type { OnProgress } from '../../../progress.ts';
import { readServerState } from '../server.ts';
import type { ColdCluster } from './cluster.ts';
import { removeLeftHold } from './hold-cluster.ts';
import { readStoppedNote, removeStoppedNote, writeStoppedNote } from './stopped-note.ts';

export interface StoppedWork<Result> {
  result: Result;
  /** From the order to stop until the server answered again, in milliseconds. */
  downMs: number;
  /** The work is done, but the server did not come up again. */
  startFailure: ClonaError | undefined;
}

/** Production is brought back whatever we were asked to break off; only this ends the trying. */
const startTimeoutMs = 900_000;

/**
 * Stops a running server, does the work, starts it again, whatever happens to the work. A note in the archive tells of it
 * meanwhile: after a kill -9 the next run finds it (`restartStopped`).
 */
export async function whileStopped<Result>(
  {
    cluster,
    archive,
    label,
    now,
  }: { cluster: ColdCluster; archive: Archive; label: string; now: () => Date },
  onProgress: OnProgress,
  work: () => Promise<Result>,
): Promise<StoppedWork<Result>> {
  const at = now().toISOString();
  const { dataDir } = cluster;
  await writeStoppedNote(archive.folder, { format: 1, dataDir, label, at, by: await describeWriter() });
  const begun = performance.now();
  const started = async (): Promise<ClonaError | undefined> => startAgain(cluster, archive, onProgress);
  let result: Result;
  try {
    onProgress({ step: 'stopping the server', state: 'started' });
    // Not by the run's own signal: a server that is half way down has to get there before it can come up again.
    await cluster.stop(AbortSignal.timeout(startTimeoutMs));
    onProgress({ step: 'stopping the server', state: 'done' });
    result = await work();
  } catch (error) {
    const failure = await started();
    if (failure === undefined) throw error;
    throw new ClonaError(failure.kind, failure.message, { hint: failure.hint, cause: error });
  }
  const startFailure = await started();
  return { result, downMs: Math.round(performance.now() - begun), startFailure };
}

async function startAgain(
  cluster: ColdCluster,
  archive: Archive,
  onProgress: OnProgress,
): Promise<ClonaError | undefined> {
  const step = 'starting the server again';
  try {
    onProgress({ step, state: 'started' });
    await cluster.start(AbortSignal.timeout(startTimeoutMs));
    await removeStoppedNote(archive.folder);
    onProgress({ step, state: 'done' });
    return undefined;
  } catch (error) {
    onProgress({ step, state: 'failed' });
    const { kind, cause } = toClonaError(error);
    return new ClonaError(
      kind === 'internal' ? 'databaseFailed' : kind,
      `the server in ${cluster.dataDir} was stopped to be copied and does not start again: ${toClonaError(error).message}`,
      { cause: cause ?? error, hint: 'see its log and start it; the next clona backup tries it again, too' },
    );
  }
}

/**
 * Starts what a killed run left stopped; undefined where nothing was. Throws `locked` while a cold backup is under way.
 * `open`: how a data directory's server is started on this site.
 */
export async function restartStopped(
  archiveDir: string,
  open: (dataDir: string) => Promise<ColdCluster>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const found = await readStoppedNote(archiveDir);
  if (found === undefined) return undefined;
  const { note, isWorking } = found;
  if (isWorking) {
    throw new ClonaError(
      'locked',
      `process ${note.by.pid} on ${note.by.host} has stopped the server for the cold backup ${note.label} since ${note.at}`,
      { hint: 'wait for it to end' },
    );
  }
  const said = `the cold backup ${note.label} of process ${note.by.pid} was killed on ${note.at} or later`;
  const isUp = (await readServerState(note.dataDir)).pid !== undefined;
  if (!isUp) {
    await removeLeftHold(note.dataDir);
    await (await open(note.dataDir)).start(signal);
  }
  await removeStoppedNote(archiveDir);
  return isUp
    ? `${said}; the server in ${note.dataDir} runs again already`
    : `${said} and had left the server in ${note.dataDir} stopped: it was started again`;
}
