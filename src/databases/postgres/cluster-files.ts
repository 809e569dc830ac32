import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../archive/durable-file.ts';
import type { Connection } from './connect.ts';

/** One file or folder of a cluster, its path relative to the data directory (through pg_tblspc for tablespaces). */
export interface ClusterFile {
  path: string;
  sizeBytes: number;
  isFolder: boolean;
  modifiedAt: Date;
}

/** Only their folder is copied: the server makes their content anew (basebackup.c, excludeDirContents). */
const emptiedFolders = new Set([
  'pg_stat_tmp',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_subtrans',
]);

/** basebackup.c, excludeFiles; and what a backup brings itself. */
const leftOutNames = new Set([
  'postgresql.auto.conf.tmp',
  'current_logfiles',
  'current_logfiles.tmp',
  'backup_label',
  'backup_label.old',
  'tablespace_map',
  'tablespace_map.old',
  'backup_manifest',
  'postmaster.pid',
  'postmaster.opts',
]);

const relationPattern = /^(\d+)(_fsm|_vm|_init)?(\.\d+)?$/;
const temporaryRelationPattern = /^t\d+_\d+(_fsm|_vm|_init)?(\.\d+)?$/;

/** What of a cluster's files belongs into a backup, by the rules of the server's own BASE_BACKUP. Pure. */
export function selectCopied(files: readonly ClusterFile[]): ClusterFile[] {
  const unlogged = new Set<string>();
  for (const { path } of files) {
    const [folder, name] = splitPath(path);
    const [, number, fork] = relationPattern.exec(name) ?? [];
    if (fork === '_init' && number !== undefined) unlogged.add(`${folder}/${number}`);
  }
  return files.filter((file) => isCopied(file, unlogged));
}

function isCopied({ path, isFolder }: ClusterFile, unlogged: ReadonlySet<string>): boolean {
  const parts = path.split('/');
  const [folder, name] = splitPath(path);
  const top = parts[0] ?? '';
  if (parts.some((part) => part.startsWith('pgsql_tmp'))) return false;
  if (parts.length > 1 && emptiedFolders.has(top)) return false;
  if (top === 'pg_wal' && parts.length > 1) {
    return isFolder && parts.length === 2 && (name === 'archive_status' || name === 'summaries');
  }
  if (name.startsWith('pg_internal.init')) return false;
  if (parts.length === 1 && leftOutNames.has(name)) return false;
  if (!isFolder && (top === 'base' || top === 'pg_tblspc')) {
    if (temporaryRelationPattern.test(name)) return false;
    const [, number, fork] = relationPattern.exec(name) ?? [];
    // An unlogged table is empty after a restore: only its init fork counts.
    if (number !== undefined && fork !== '_init' && unlogged.has(`${folder}/${number}`)) return false;
  }
  return true;
}

function splitPath(path: string): [folder: string, name: string] {
  const at = path.lastIndexOf('/');
  return [path.slice(0, Math.max(0, at)), path.slice(at + 1)];
}

/** Folders whose content never counts are not entered. */
function isEntered(path: string): boolean {
  const parts = path.split('/');
  return !(emptiedFolders.has(parts[0] ?? '') || (parts[0] === 'pg_wal' && parts.length > 1));
}

/** Every file of a data directory on this host. Links are followed only where the server has its own: pg_tblspc, pg_wal. */
export async function listLocalFiles(dataDir: string, folder = ''): Promise<ClusterFile[]> {
  const found: ClusterFile[] = [];
  for (const name of await readdir(join(dataDir, folder))) {
    const path = folder === '' ? name : `${folder}/${name}`;
    const follows = folder === 'pg_tblspc' || path === 'pg_wal';
    const status = await (follows ? stat : lstat)(join(dataDir, path)).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (status === undefined || !(status.isFile() || status.isDirectory())) continue;
    const isFolder = status.isDirectory();
    found.push({ path, sizeBytes: isFolder ? 0 : status.size, isFolder, modifiedAt: status.mtime });
    if (isFolder && isEntered(path)) found.push(...(await listLocalFiles(dataDir, path)));
  }
  return found;
}

/** The same through SQL; the role needs EXECUTE on pg_ls_dir(text, boolean, boolean) and pg_stat_file(text, boolean). */
export async function listFilesBySql(session: Connection): Promise<ClusterFile[]> {
  const rows = await session.query<{ path: string; size: string; folder: boolean; modified: string }>(
    `
    WITH RECURSIVE tree(path, size, folder, modified) AS (
      SELECT f.name, s.size, s.isdir, s.modification
        FROM pg_catalog.pg_ls_dir('.', true, false) AS f(name), LATERAL pg_catalog.pg_stat_file(f.name, true) AS s
      UNION ALL
      SELECT t.path || '/' || f.name, s.size, s.isdir, s.modification
        FROM tree AS t,
             LATERAL pg_catalog.pg_ls_dir(t.path, true, false) AS f(name),
             LATERAL pg_catalog.pg_stat_file(t.path || '/' || f.name, true) AS s
       WHERE t.folder AND NOT t.path = ANY($1) AND t.path NOT LIKE 'pg_wal/%'
    )
    SELECT path, size::text, folder, extract(epoch FROM modified)::text AS modified FROM tree WHERE size IS NOT NULL`,
    [[...emptiedFolders]],
  );
  return rows.map(({ path, size, folder, modified }) => ({
    path,
    sizeBytes: folder ? 0 : Number(size),
    isFolder: folder,
    modifiedAt: new Date(Number(modified) * 1000),
  }));
}
