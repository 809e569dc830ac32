import { statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { nameDevice, resolveDevice } from '../../../archive/devices.ts';
import type { BackupHeader, ServerRequirements } from '../../../archive/format.ts';
import { draftBackup, listBackups, type Archive } from '../../../archive/repository.ts';
import { ClonaError } from '../../../errors.ts';
import { silent, withProgress, type OnProgress } from '../../../progress.ts';
import type { DatabaseAddress } from '../../database.ts';
import type { CopiedFacts } from '../backup-context.ts';
import { readRequirements, readServerFacts, type ServerFacts } from '../backup-facts.ts';
import { checkSource, findFreeLabel, makeHeader, makeLabel, mebibytes, sum } from '../backup-header.ts';
import { connect } from '../connect.ts';
import { readServerState } from '../server.ts';
import type { ColdCluster } from './cluster.ts';
import type { ControlFile } from './control-file.ts';
import { copyStopped } from './copy-stopped.ts';
import { readControlFile, readStoppedRequirements, requireShutDown } from './read-stopped.ts';
import { whileStopped } from './while-stopped.ts';

export interface ColdBackupOptions {
  cluster: ColdCluster;
  /** Where the server answers while it runs; undefined: nobody said, and it must be down already. */
  address: DatabaseAddress | undefined;
  /** Opened by openOrCreateArchive with the identity of this database. */
  archive: Archive;
  /** Asked before a running server is stopped; throws where that is not wanted. */
  confirmStop: () => Promise<void>;
  /** Default: made of the time and the kind. */
  label?: string | undefined;
  compressionLevel?: number | undefined;
  workers?: number | undefined;
  takenBy?: string | undefined;
  now: () => Date;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
}

export interface ColdBackup {
  header: BackupHeader;
  warnings: string[];
}

/**
 * A backup of a cluster that is shut down cleanly: by clona, which starts it again whatever happens, or before. It needs no redo:
 * start = consistentFrom = the shutdown checkpoint (R2). Whatever fails: the archive has no backup more than before.
 */
export async function takeColdBackup(options: ColdBackupOptions): Promise<ColdBackup> {
  const { cluster, archive, signal, onProgress = silent } = options;
  const startedAt = options.now();
  const label = options.label ?? (await findFreeLabel(archive, makeLabel(startedAt, 'cold')));
  const wasRunning = (await readServerState(cluster.dataDir)).pid !== undefined;
  // All that may refuse comes before the server is stopped.
  checkControl(await readControlFile(cluster.dataDir), cluster, archive);
  const asked = wasRunning ? await askRunning(options) : undefined;
  if (wasRunning) {
    await refuseHopeless(archive);
    await options.confirmStop();
  }
  await using draft = await draftBackup(archive, label);
  signal.throwIfAborted();
  const copy = async (): Promise<CopiedFacts & { guessed: Guessed | undefined }> => {
    signal.throwIfAborted();
    const control = await readControlFile(cluster.dataDir);
    requireShutDown(control, cluster.dataDir);
    const guessed =
      asked === undefined ? await readStoppedRequirements(cluster, control, archive) : undefined;
    const copied = await withProgress(
      onProgress,
      'copying the stopped cluster',
      async () =>
        copyStopped({
          cluster,
          folder: draft.folder,
          workers: options.workers ?? Math.min(8, availableParallelism()),
          level: options.compressionLevel ?? 3,
          signal,
          onProgress,
        }),
      ({ archives }) =>
        `${mebibytes(sum(archives, 'rawBytes'))} MiB in ${mebibytes(sum(archives, 'compressedBytes'))} MiB`,
    );
    return { ...copied, guessed };
  };
  const stopped = { cluster, archive, label, now: options.now };
  const { result, downMs, startFailure } = wasRunning
    ? await whileStopped(stopped, onProgress, copy)
    : { result: await copy(), downMs: null, startFailure: undefined };
  const { guessed, ...copied } = result;
  const header = makeHeader(
    { ...copied, pauseMs: downMs },
    {
      label,
      kind: 'cold',
      systemIdentifier: archive.header.systemIdentifier,
      database: options.address?.database ?? archive.header.database,
      serverVersion: asked?.facts.serverVersion ?? cluster.binaries.versionNumber,
      device: nameDevice(await resolveDevice(archive.folder)),
      startedAt: startedAt.toISOString(),
      finishedAt: options.now().toISOString(),
      // One of the two is there: it ran, or it did not.
      requirements: asked?.requirements ?? guessed!.requirements,
      extraRedo: { fullPageImages: 0, logBytes: 0 },
    },
  );
  const by = options.takenBy;
  await draft.publish(header, by === undefined ? undefined : { by, at: options.now() });
  if (startFailure !== undefined) throw startFailure;
  return { header, warnings: guessed?.isGuessed === true ? [unknownParts] : [] };
}

type Guessed = Awaited<ReturnType<typeof readStoppedRequirements>>;

const unknownParts =
  'the server was down: which extensions and collations its databases use is not known before a restore';

/** Throws `archiveForeign`, `databaseVersion`, and where files and programs are of two versions. */
function checkControl(control: ControlFile, { binaries, dataDir }: ColdCluster, archive: Archive): void {
  checkSource({ systemIdentifier: control.systemIdentifier, serverVersion: binaries.versionNumber }, archive);
  const expected = binaries.major >= 18 ? 1800 : 1300;
  if (control.formatVersion === expected) return;
  throw new ClonaError(
    'databaseVersion',
    `${dataDir} says PostgreSQL ${binaries.major} and its pg_control is of another version`,
    { hint: 'an upgrade may have ended half way; let the server start first' },
  );
}

/** Nobody is shut out for a copy that will not fit: judged by the newest backup, without one not at all. */
async function refuseHopeless(archive: Archive): Promise<void> {
  const headers = (await listBackups(archive)).flatMap(({ header }) =>
    header === undefined ? [] : [header],
  );
  const newest = headers.sort((a, b) => a.finishedAt.localeCompare(b.finishedAt)).at(-1);
  const { bavail, bsize } = await statfs(archive.folder);
  const freeBytes = bavail * bsize;
  if (newest === undefined || freeBytes >= newest.compressedBytes) return;
  throw new ClonaError(
    'diskFull',
    `${archive.folder} has ${mebibytes(freeBytes)} MiB free and the newest backup takes ${mebibytes(newest.compressedBytes)} MiB: the server is not shut down for that`,
    { hint: 'give the archive room: clona retention --apply --yes, or a larger disk' },
  );
}

/** What only a running server tells; with a checkpoint, so that the one of the shutdown has little to write. */
async function askRunning({
  address,
  archive,
  cluster,
  signal,
}: ColdBackupOptions): Promise<{ facts: ServerFacts; requirements: ServerRequirements }> {
  if (address === undefined) {
    throw new ClonaError('usage', `a server runs in ${cluster.dataDir}, and nothing says where it answers`, {
      hint: 'give --database too, or shut it down yourself',
    });
  }
  await using session = await connect(address, signal);
  const facts = await readServerFacts(session);
  checkSource(facts, archive);
  if (facts.isStandby) {
    throw new ClonaError(
      'databaseFailed',
      'a standby that is shut down still needs the log it was following',
      {
        hint: 'take the cold backup from its primary',
      },
    );
  }
  const requirements = await readRequirements(address, session, signal);
  // Without the right to it the shutdown takes longer, no more.
  await session.query('CHECKPOINT').catch(() => signal.throwIfAborted());
  return { facts, requirements };
}
