import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../../archive/durable-file.ts';
import type { ArchiveFile } from '../../../archive/format.ts';
import { openFramePool } from '../../../archive/frame-pool.ts';
import { TarFramer } from '../../../archive/tar-frames.ts';
import { ClonaError } from '../../../errors.ts';
import type { OnProgress } from '../../../progress.ts';
import type { CopiedFacts } from '../backup-context.ts';
import { addLog, controlPath } from '../backup-hot-end.ts';
import { encodeBackupManifest } from '../backup-manifest.ts';
import { ClusterCopier, type Tablespace } from '../cluster-copier.ts';
import { listLocalFiles, selectCopied } from '../cluster-files.ts';
import { localSource } from '../cluster-source.ts';
import type { ColdCluster } from './cluster.ts';
import { parseControlFile } from './control-file.ts';
import { holdCluster } from './hold-cluster.ts';
import { unreadable } from './local-cluster.ts';
import { findCheckpointEnd, readLinkedTablespaces, requireShutDown } from './read-stopped.ts';

interface CopyOptions {
  cluster: ColdCluster;
  /** Of the draft. */
  folder: string;
  workers: number;
  level: number;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/**
 * Copies a stopped cluster by the rules of the server's own BASE_BACKUP, in parallel, while nobody can start it. The
 * segment of the shutdown checkpoint comes along: a server begins there, with nothing to replay. No backup_label: the files
 * agree with each other, and one would demand log that does not exist.
 */
export async function copyStopped(options: CopyOptions): Promise<CopiedFacts> {
  const { cluster, folder, workers, level } = options;
  const { dataDir, binaries } = cluster;
  await using hold = await holdCluster(dataDir, cluster.owner);
  const before = await readFile(join(dataDir, controlPath));
  const control = parseControlFile(before, controlPath);
  requireShutDown(control, dataDir);
  const { checkpoint: position, timeline, segmentSizeBytes } = control;
  const end = await findCheckpointEnd(dataDir, control);
  const spaces = await readLinkedTablespaces(dataDir, binaries.major, control);
  const files = selectCopied(await listFiles(dataDir));
  await using pool = openFramePool(workers, level);
  const source = localSource(dataDir, pool);
  const copier = new ClusterCopier({ ...options, refusesChange: true }, pool, source, undefined);
  const archives: ArchiveFile[] = [];
  for (const space of spaces) archives.push(await copier.copySpace(space, files));
  await using base = await copier.copyBase(spaces, files);
  const framer = new TarFramer(pool, base, 'base.tar');
  if (spaces.length > 0) await copier.addContent(framer, 'tablespace_map', mapOf(spaces));
  await copier.addContent(framer, controlPath, before);
  await addHistories(framer, dataDir);
  if (!(await addLog(framer, source, timeline, position, end, segmentSizeBytes))) throw changed(dataDir);
  archives.push({ ...(await framer.finish()), tablespaceOid: null, tablespacePath: null });
  await hold.check();
  if (!before.equals(await readFile(join(dataDir, controlPath)))) throw changed(dataDir);
  const facts = { serverVersion: binaries.versionNumber, systemIdentifier: control.systemIdentifier };
  const manifest = encodeBackupManifest({ ...facts, timeline, start: position, stop: end }, copier.entries());
  await writeDurably(join(folder, 'backup_manifest'), manifest);
  return {
    timeline,
    start: String(position),
    consistentFrom: String(position),
    ownLog: true,
    archives,
    manifestSha256: createHash('sha256').update(manifest).digest('hex'),
    pauseMs: null,
    restorePoint: null,
  };
}

async function listFiles(dataDir: string): ReturnType<typeof listLocalFiles> {
  return listLocalFiles(dataDir).catch((error: unknown) => {
    throw unreadable(error, dataDir);
  });
}

/** As the server writes it. It reads it only beside a backup_label: clona's restore makes the links itself. */
function mapOf(spaces: readonly Tablespace[]): Buffer {
  const escape = (text: string): string => text.replaceAll(/[\\\n\r]/g, (found) => `\\${found}`);
  return Buffer.from(spaces.map(({ oid, location }) => `${oid} ${escape(location)}\n`).join(''));
}

/** A server finds its way through timelines by these files, so they are carried as BASE_BACKUP carries them. */
async function addHistories(framer: TarFramer, dataDir: string): Promise<void> {
  const folder = join(dataDir, 'pg_wal');
  for (const name of (await readdir(folder)).sort()) {
    if (!/^[0-9A-F]{8}\.history$/.test(name)) continue;
    const content = await readFile(join(folder, name));
    const member = { path: `pg_wal/${name}`, sizeBytes: content.length, modifiedAt: new Date() };
    await framer.addMember({ ...member, type: 'file' }, content);
  }
}

function changed(dataDir: string): ClonaError {
  return new ClonaError('databaseFailed', `the cluster in ${dataDir} changed while it was copied`, {
    hint: 'a server was started on it meanwhile: what was copied is not kept',
  });
}
