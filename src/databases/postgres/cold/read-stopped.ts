import { execFile } from 'node:child_process';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerRequirements } from '../../../archive/format.ts';
import { listBackups, type Archive } from '../../../archive/repository.ts';
import { ClonaError } from '../../../errors.ts';
import type { Position } from '../../../recovery/position.ts';
import { splitList } from '../backup-facts.ts';
import { controlPath } from '../backup-hot-end.ts';
import type { Tablespace } from '../cluster-copier.ts';
import { formatSegmentName } from '../lsn.ts';
import { readLogRecords } from '../log-records.ts';
import type { ColdCluster } from './cluster.ts';
import { parseControlFile, type ControlFile } from './control-file.ts';
import { unreadable } from './local-cluster.ts';

const run = promisify(execFile);

/** pg_control of a cluster, running or not. */
export async function readControlFile(dataDir: string): Promise<ControlFile> {
  const path = join(dataDir, controlPath);
  const content = await readFile(path).catch((error: unknown) => {
    throw unreadable(error, path);
  });
  return parseControlFile(content, path);
}

/** Only a clean end leaves files that agree with each other; says what to do about any other. */
export function requireShutDown({ state }: ControlFile, dataDir: string): void {
  if (state === 'shut down') return;
  const why =
    state === 'shut down in recovery' || state === 'in archive recovery'
      ? 'it is a standby, or its recovery has not ended'
      : 'its server ended without a checkpoint: the files do not agree with each other without their log';
  throw new ClonaError('notShutDown', `the cluster in ${dataDir} is "${state}", not "shut down": ${why}`, {
    hint: 'start it and shut it down cleanly, or let clona do that: start it and run clona backup --kind cold --yes',
    details: { state },
  });
}

/** Where the record of the shutdown checkpoint ends. Throws where the log of a stopped cluster does not hold it. */
export async function findCheckpointEnd(dataDir: string, control: ControlFile): Promise<Position> {
  const { checkpoint, timeline, segmentSizeBytes } = control;
  const number = Number(checkpoint / BigInt(segmentSizeBytes));
  const path = join(dataDir, 'pg_wal', formatSegmentName({ timeline, number }, segmentSizeBytes));
  const segment = await readFile(path).catch((error: unknown) => {
    throw unreadable(error, path);
  });
  for (const record of readLogRecords(segment)) {
    const isShutdown = record.resourceManager === 0 && (record.info & 0xf0) === 0;
    if (record.position === checkpoint && isShutdown) return record.end as Position;
  }
  throw new ClonaError('databaseFailed', `${path} does not hold the checkpoint that pg_control names`, {
    hint: 'the cluster would not start either: restore it from an older backup',
  });
}

/** The links of pg_tblspc; a folder there lies inside the data directory (allow_in_place_tablespaces). */
export async function readLinkedTablespaces(
  dataDir: string,
  major: number,
  { catalogVersion }: ControlFile,
): Promise<Tablespace[]> {
  const spaces: Tablespace[] = [];
  for (const name of (await readdir(join(dataDir, 'pg_tblspc'))).sort((a, b) => Number(a) - Number(b))) {
    const path = join(dataDir, 'pg_tblspc', name);
    if (!/^\d+$/.test(name) || !(await lstat(path)).isSymbolicLink()) continue;
    const folder = `pg_tblspc/${name}/PG_${major}_${catalogVersion}`;
    spaces.push({ oid: Number(name), location: await readlink(path), folder });
  }
  return spaces;
}

/**
 * What a server must offer to open a cluster that cannot be asked: its settings by pg_control, libraries by its configuration,
 * extensions and collations as the newest backup of its timeline tells them. `isGuessed`: there is no such backup.
 */
export async function readStoppedRequirements(
  { dataDir, owner, binaries }: ColdCluster,
  control: ControlFile,
  archive: Archive,
): Promise<{ requirements: ServerRequirements; isGuessed: boolean }> {
  const ask = ['-D', dataDir, '-C', 'shared_preload_libraries'];
  const { stdout } = await run(join(binaries.binDir, 'postgres'), ask, {
    ...owner,
    env: binaries.env,
    cwd: '/',
  }).catch((error: unknown) => {
    throw new ClonaError('databaseFailed', `the configuration in ${dataDir} cannot be read`, {
      cause: error,
    });
  });
  const headers = (await listBackups(archive)).flatMap(({ header }) =>
    header === undefined ? [] : [header],
  );
  const newest = headers
    .filter(({ timeline }) => timeline === control.timeline)
    .sort((a, b) => a.finishedAt.localeCompare(b.finishedAt))
    .at(-1);
  const requirements: ServerRequirements = {
    settings: control.settings,
    preloadLibraries: splitList(stdout.trim()),
    extensions: newest?.requirements.extensions ?? [],
    collations: newest?.requirements.collations ?? [],
    dataChecksums: control.dataChecksums,
    blockSizeBytes: control.blockSizeBytes,
  };
  return { requirements, isGuessed: newest === undefined };
}
