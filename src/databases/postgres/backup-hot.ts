import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { writeDurably } from '../../archive/durable-file.ts';
import type { ArchiveFile } from '../../archive/format.ts';
import { openFramePool } from '../../archive/frame-pool.ts';
import { TarFramer } from '../../archive/tar-frames.ts';
import type { CopiedFacts, CopyContext } from './backup-context.ts';
import { encodeBackupManifest } from './backup-manifest.ts';
import { ClusterCopier, type PageRules, type Tablespace } from './cluster-copier.ts';
import { selectCopied } from './cluster-files.ts';
import { openClusterSource } from './cluster-source.ts';
import type { Connection } from './connect.ts';
import { addLog, controlPath, readControl } from './backup-hot-end.ts';
import { parseLsn } from './lsn.ts';

/**
 * A backup for a role without REPLICATION: pg_backup_start, our own parallel copy, pg_backup_stop (the manual's
 * "Making a Base Backup Using the Low Level API"). Backup mode ends with the session, whatever happens.
 */
export async function copyHot(context: CopyContext): Promise<CopiedFacts> {
  const { address, session, facts, folder, label, workers, level, signal } = context;
  await using pool = openFramePool(workers, level);
  await using source = await openClusterSource(address, session, facts, pool, workers, signal);
  const spaces = await readTablespaces(context);
  const [begun] = await session.query<{ lsn: string }>(
    `SELECT pg_catalog.pg_backup_start($1, true)::text AS lsn`,
    [label],
  );
  const start = parseLsn(begun?.lsn ?? '', 'the start of the backup');
  const files = selectCopied(await source.list());
  const copier = new ClusterCopier(context, pool, source, await readPageRules(session, start));
  const archives: ArchiveFile[] = [];
  for (const space of spaces) archives.push(await copier.copySpace(space, files));
  await using base = await copier.copyBase(spaces, files);
  const [ended] = await session.query<{ lsn: string; label: string; map: string }>(
    `SELECT lsn::text AS lsn, labelfile AS label, spcmapfile AS map FROM pg_catalog.pg_backup_stop(false)`,
  );
  const stop = parseLsn(ended?.lsn ?? '', 'the end of the backup');
  const timeline = Number(/^START TIMELINE: (\d+)$/m.exec(ended?.label ?? '')?.[1] ?? 1);
  const framer = new TarFramer(pool, base, 'base.tar');
  await copier.addContent(framer, 'backup_label', Buffer.from(ended?.label ?? ''));
  if ((ended?.map ?? '') !== '')
    await copier.addContent(framer, 'tablespace_map', Buffer.from(ended?.map ?? ''));
  await copier.addContent(framer, controlPath, await readControl(source));
  const ownLog = await addLog(framer, source, timeline, start, stop, facts.segmentSizeBytes);
  archives.push({ ...(await framer.finish()), tablespaceOid: null, tablespacePath: null });
  const manifest = encodeBackupManifest({ ...facts, timeline, start, stop }, copier.entries());
  await writeDurably(join(folder, 'backup_manifest'), manifest);
  return {
    timeline,
    start: String(start),
    consistentFrom: String(stop),
    ownLog,
    archives,
    manifestSha256: createHash('sha256').update(manifest).digest('hex'),
    pauseMs: null,
    restorePoint: null,
  };
}

/** Undefined: the cluster has no data checksums. */
async function readPageRules(session: Connection, startPosition: bigint): Promise<PageRules | undefined> {
  const [row] = await session.query<{ checksums: string; block: string }>(
    `SELECT pg_catalog.current_setting('data_checksums') AS checksums, pg_catalog.current_setting('block_size') AS block`,
  );
  return row?.checksums === 'on' ? { blockSizeBytes: Number(row.block), startPosition } : undefined;
}

async function readTablespaces({ session, facts }: CopyContext): Promise<Tablespace[]> {
  const rows = await session.query<{ oid: string; location: string; catalog: string }>(
    `SELECT t.oid::text AS oid, pg_catalog.pg_tablespace_location(t.oid) AS location,
            (SELECT catalog_version_no::text FROM pg_catalog.pg_control_system()) AS catalog
       FROM pg_catalog.pg_tablespace AS t ORDER BY t.oid`,
  );
  const major = Math.floor(facts.serverVersion / 10_000);
  // Those without a location are the built-in ones; a relative location lies inside the data directory.
  return rows
    .filter(({ location }) => location.startsWith('/'))
    .map(({ oid, location, catalog }) => ({
      oid: Number(oid),
      location,
      folder: `pg_tblspc/${oid}/PG_${major}_${catalog}`,
    }));
}
