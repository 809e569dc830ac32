import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openOrCreateArchive, backupFolder, type Archive } from '../../src/archive/repository.ts';
import type { BackupHeader } from '../../src/archive/format.ts';
import { readArchiveIdentity } from '../../src/databases/postgres/backup-facts.ts';
import { giveTo } from '../../src/databases/postgres/server-cluster.ts';
import { startServer, type RunningServer } from '../../src/databases/postgres/server.ts';
import { resolveBinaries } from '../../src/databases/postgres/server-binaries.ts';
import type { ServerSettings } from '../../src/databases/postgres/server-settings.ts';
import type { TestCluster } from './cluster.ts';
import { unpackFrames } from './unpack.ts';

const run = promisify(execFile);

export async function makeTestArchive(cluster: TestCluster, name = 'archive'): Promise<Archive> {
  return openOrCreateArchive(
    join(cluster.folder, name),
    await readArchiveIdentity(cluster.address),
    new Date(),
  );
}

/** Unpacks a backup below the cluster's folder, tablespaces beside it. Returns the data directory. */
export async function unpackBackup(
  cluster: TestCluster,
  archive: Archive,
  header: BackupHeader,
  name = 'restored',
): Promise<string> {
  const folder = backupFolder(archive, header.label);
  const target = join(cluster.folder, name);
  for (const file of header.archives) {
    const oid = file.tablespaceOid;
    await unpackFrames(folder, file, oid === null ? target : join(cluster.folder, `${name}-${oid}`));
  }
  await copyFile(join(folder, 'backup_manifest'), join(target, 'backup_manifest'));
  return target;
}

/** pg_verifybackup of any installed server, newest first; undefined where there is none. */
export async function findVerifyTool(): Promise<{ path: string; major: number } | undefined> {
  const folders = await readdir('/usr/lib/postgresql').catch(() => []);
  for (const version of folders.sort((a, b) => Number(b) - Number(a))) {
    const path = `/usr/lib/postgresql/${version}/bin/pg_verifybackup`;
    const works = await run(path, ['--version']).then(
      () => true,
      () => false,
    );
    if (works) return { path, major: Number(version) };
  }
  return undefined;
}

/** Its words; throws where it finds anything wrong. */
export async function verifyBackup(tool: string, dataDir: string): Promise<string> {
  return (await run(tool, [dataDir])).stdout.trim();
}

/** Starts an unpacked backup beside the cluster; the caller disposes of it. */
export async function startRestored(
  cluster: TestCluster,
  dataDir: string,
  settings: ServerSettings = {},
): Promise<RunningServer> {
  const { runAs } = cluster;
  if (runAs !== undefined) {
    for (const name of await readdir(cluster.folder)) {
      if (name.startsWith('restored')) await giveTo(join(cluster.folder, name), runAs);
    }
  }
  return startServer({
    binaries: await resolveBinaries({ major: cluster.binaries.major, runAs }),
    dataDir,
    runAs,
    socketDir: join(cluster.folder, 'r'),
    logFile: `${dataDir}.log`,
    settings: { archive_mode: 'off', ...settings },
  });
}

/** A copy of the whole archive that may be damaged. */
export async function copyArchive(archive: Archive, target: string): Promise<Archive> {
  await mkdir(target, { recursive: true });
  await cp(archive.folder, target, { recursive: true });
  return { ...archive, folder: target };
}
