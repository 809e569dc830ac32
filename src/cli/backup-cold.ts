import { stat } from 'node:fs/promises';
import type { Archive } from '../archive/repository.ts';
import type { BackupHeader } from '../archive/format.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import type { ServiceCommands } from '../databases/postgres/cold/local-cluster.ts';
import { confirmChange } from './confirm.ts';
import type { VerbContext } from './verb.ts';

export interface ColdTask {
  /** Undefined: nobody said where the server answers, so it must be down. */
  address: DatabaseAddress | undefined;
  dataDir: string | undefined;
  service: ServiceCommands | undefined;
  archiveDir: string;
  level: number | undefined;
  workers: number | undefined;
  label: string | undefined;
  takenBy: string;
  /** R16: says what has to be shown, or throws. */
  checkDevices: (dataDir: string) => Promise<void>;
}

/** Its sessions end and nobody gets in for as long as the copy takes: asked before, like everything that changes LIVE. */
export async function confirmStop(context: VerbContext): Promise<void> {
  await confirmChange(context, 'the database is shut down, copied, and started again: shut it down now?');
}

/** A cold backup without a site. */
export async function takeColdAlone(
  context: VerbContext,
  task: ColdTask,
): Promise<{ header: BackupHeader; archive: Archive }> {
  const { signal, onProgress, note } = context;
  const { openOrCreateArchive } = await import('../archive/repository.ts');
  const { askDataDir } = await import('../pipeline/cold-cluster.ts');
  const { openLocalCluster } = await import('../databases/postgres/cold/local-cluster.ts');
  const { readControlFile } = await import('../databases/postgres/cold/read-stopped.ts');
  const { takeColdBackup } = await import('../databases/postgres/cold/backup-cold.ts');
  const { address, service, archiveDir } = task;
  // One of the two was given: the verb reads the site's for what is left open.
  const dataDir = task.dataDir ?? (await askDataDir(address!, signal));
  const cluster = await openLocalCluster(dataDir, service);
  const { systemIdentifier, segmentSizeBytes } = await readControlFile(dataDir);
  await task.checkDevices(dataDir);
  const database = address?.database ?? 'postgres';
  const identity = { database, systemIdentifier, segmentSizeBytes };
  const archive = await openOrCreateArchive(archiveDir, identity, new Date());
  const { header, warnings } = await takeColdBackup({
    cluster,
    address,
    archive,
    confirmStop: async () => confirmStop(context),
    label: task.label,
    compressionLevel: task.level,
    workers: task.workers,
    takenBy: task.takenBy,
    now: () => new Date(),
    signal,
    onProgress,
  });
  for (const warning of warnings) note(`warning: ${warning}`);
  return { header, archive };
}

/** Starts again what a killed cold backup of this archive left stopped. */
export async function restartLeft(
  { signal, note }: VerbContext,
  archiveDir: string,
  service: ServiceCommands | undefined,
): Promise<void> {
  if ((await stat(archiveDir).catch(() => undefined)) === undefined) return;
  const { restartStopped } = await import('../databases/postgres/cold/while-stopped.ts');
  const { openLocalCluster } = await import('../databases/postgres/cold/local-cluster.ts');
  const open = async (dataDir: string) => openLocalCluster(dataDir, service);
  const said = await restartStopped(archiveDir, open, signal);
  if (said !== undefined) note(`warning: ${said}`);
}
