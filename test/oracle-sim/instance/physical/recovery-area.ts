import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OraError } from '../../wire/values.ts';
import { mounted, parameter, type Database } from './database.ts';
import type { ArchivedLog } from './types.ts';

export const areaTypes = [
  'CONTROL FILE',
  'REDO LOG',
  'ARCHIVED LOG',
  'BACKUP PIECE',
  'IMAGE COPY',
  'FLASHBACK LOG',
  'FOREIGN ARCHIVED LOG',
  'AUXILIARY DATAFILE COPY',
] as const;

export interface AreaFile {
  type: (typeof areaTypes)[number];
  bytes: number;
  /** An archived log that is backed up: the server may delete it when it needs room. */
  reclaimable: ArchivedLog | null;
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

/** What lies in DB_RECOVERY_FILE_DEST and is known to the control file. */
export function areaFiles(database: Database): AreaFile[] {
  const area = parameter(database, 'db_recovery_file_dest');
  if (area === undefined) return [];
  const { archived, sets, restorePoints, name } = mounted(database);
  const logs = archived
    .filter((log) => log.status === 'A' && log.name.startsWith(area))
    .map((log): AreaFile => ({
      type: 'ARCHIVED LOG',
      bytes: sizeOf(log.name),
      reclaimable: log.backups > 0 ? log : null,
    }));
  const pieces = sets
    .filter(({ status, handle }) => status === 'A' && handle.startsWith(area))
    .map(({ handle }): AreaFile => ({ type: 'BACKUP PIECE', bytes: sizeOf(handle), reclaimable: null }));
  const flashback = restorePoints
    .filter(({ guaranteed }) => guaranteed)
    .map((point): AreaFile => ({
      type: 'FLASHBACK LOG',
      bytes: sizeOf(join(area, name, 'flashback', `${point.name}.flb`)),
      reclaimable: null,
    }));
  return [...logs, ...pieces, ...flashback];
}

export function areaLimit(database: Database): number {
  return Number(parameter(database, 'db_recovery_file_dest_size') ?? 0);
}

/** Room for a file that comes into the area: what is backed up goes first, the oldest first; then it is full. */
export function requireAreaRoom(database: Database, path: string, bytes: number): void {
  const area = parameter(database, 'db_recovery_file_dest');
  if (area === undefined || !path.startsWith(area)) return;
  const limit = areaLimit(database);
  const files = areaFiles(database);
  let used = files.reduce((sum, file) => sum + file.bytes, 0);
  for (const file of files) {
    if (used + bytes <= limit) return;
    if (file.reclaimable === null) continue;
    rmSync(file.reclaimable.name, { force: true });
    Object.assign(file.reclaimable, { status: 'D', deleted: true });
    used -= file.bytes;
  }
  if (used + bytes <= limit) return;
  throw new OraError(
    19809,
    `limit exceeded for recovery files\nORA-19804: cannot reclaim ${bytes} bytes disk space from ${limit} bytes limit`,
  );
}
