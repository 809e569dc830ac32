import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { combineCrc32c } from '../../archive/crc32c-combine.ts';
import { crc32c } from '../../archive/crc32c.ts';
import { writeDurably } from '../../archive/durable-file.ts';
import type { ArchiveFile } from '../../archive/format.ts';
import { createFrameFile, type FrameFile } from '../../archive/frame-file.ts';
import { planFrames, type PlannedFrame, type PlannedMember } from '../../archive/frame-plan.ts';
import { openFramePool, type FramePool } from '../../archive/frame-pool.ts';
import { TarFramer } from '../../archive/tar-frames.ts';
import type { CopiedFacts, CopyContext } from './backup-context.ts';
import { encodeBackupManifest, type ManifestEntry } from './backup-manifest.ts';
import { selectCopied, type ClusterFile } from './cluster-files.ts';
import { openClusterSource, type ClusterSource } from './cluster-source.ts';
import type { Connection } from './connect.ts';
import { addLog, controlPath, readControl } from './backup-hot-end.ts';
import { parseLsn } from './lsn.ts';
import type { CopiedPages } from './prove/fractured-pages.ts';
import { blockAt } from './prove/relation-file.ts';

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
  const copier = new Copier(context, pool, source, await readPageRules(session, start));
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

type PageRules = Pick<CopiedPages, 'blockSizeBytes' | 'startPosition'>;

/** Undefined: the cluster has no data checksums. */
async function readPageRules(session: Connection, startPosition: bigint): Promise<PageRules | undefined> {
  const [row] = await session.query<{ checksums: string; block: string }>(
    `SELECT pg_catalog.current_setting('data_checksums') AS checksums, pg_catalog.current_setting('block_size') AS block`,
  );
  return row?.checksums === 'on' ? { blockSizeBytes: Number(row.block), startPosition } : undefined;
}

interface Tablespace {
  oid: number;
  location: string;
  /** The folder of this major version inside it: others may lie beside it after an upgrade. */
  folder: string;
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

class Copier {
  readonly #context: CopyContext;
  readonly #pool: FramePool;
  readonly #source: ClusterSource;
  readonly #pageRules: PageRules | undefined;
  readonly #sums = new Map<string, ManifestEntry>();
  #doneBytes = 0;

  constructor(
    context: CopyContext,
    pool: FramePool,
    source: ClusterSource,
    pageRules: PageRules | undefined,
  ) {
    this.#context = context;
    this.#pool = pool;
    this.#source = source;
    this.#pageRules = pageRules;
  }

  entries(): ManifestEntry[] {
    return [...this.#sums.values()];
  }

  async copySpace(space: Tablespace, files: readonly ClusterFile[]): Promise<ArchiveFile> {
    const inside = files.filter(({ path }) => path === space.folder || path.startsWith(`${space.folder}/`));
    const cut = `pg_tblspc/${space.oid}/`.length;
    await using file = await createFrameFile(this.#context.folder, `${space.oid}.tar.zst`, this.#pool);
    await this.#copy(file, inside, cut);
    const framer = new TarFramer(this.#pool, file, `${space.oid}.tar`);
    return { ...(await framer.finish()), tablespaceOid: space.oid, tablespacePath: space.location };
  }

  /** All but pg_control, which comes last; the file stays open. */
  async copyBase(spaces: readonly Tablespace[], files: readonly ClusterFile[]): Promise<FrameFile> {
    const linked = new Set(spaces.map(({ oid }) => `pg_tblspc/${oid}`));
    const inside = files.filter(({ path }) => {
      const space = path.split('/', 2).join('/');
      return path !== controlPath && !linked.has(space);
    });
    const file = await createFrameFile(this.#context.folder, 'base.tar.zst', this.#pool);
    try {
      await this.#copy(file, inside, 0);
      return file;
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw error;
    }
  }

  async addContent(framer: TarFramer, path: string, content: Buffer): Promise<void> {
    const modifiedAt = new Date();
    await framer.addMember({ path, sizeBytes: content.length, type: 'file', modifiedAt }, content);
    this.#sums.set(path, { path, sizeBytes: content.length, modifiedAt, crc32c: crc32c(content) });
  }

  async #copy(file: FrameFile, files: readonly ClusterFile[], cut: number): Promise<void> {
    const { signal, onProgress } = this.#context;
    const running = new Set<Promise<void>>();
    for (const frame of planFrames(files.map((found) => this.#member(found, cut)))) {
      signal?.throwIfAborted();
      let slot = this.#pool.take();
      while (slot === undefined) {
        await this.#pool.whenFree();
        slot = this.#pool.take();
      }
      const failure = file.failure();
      if (failure !== undefined) throw failure;
      this.#judgePages(frame);
      const packing = this.#source.pack(slot, frame);
      const appended = file.append(slot, frame.rawBytes, frame.inside, packing);
      // The file settles its appends in their order, so sums are added in the order of the offsets.
      const work = appended.then((found) => this.#addSums(frame, found));
      running.add(work);
      void work.finally(() => running.delete(work)).catch(() => {});
      this.#doneBytes += frame.rawBytes;
      onProgress({ step: 'copying the cluster', state: 'running', doneBytes: this.#doneBytes });
    }
    await Promise.all(running);
    for (const { path, sizeBytes, isFolder, modifiedAt } of files) {
      if (!isFolder && sizeBytes === 0) this.#sums.set(path, { path, sizeBytes, modifiedAt, crc32c: 0 });
    }
  }

  /** Has the thread that reads a relation's file look for fractured pages. */
  #judgePages(frame: PlannedFrame): void {
    if (this.#pageRules === undefined) return;
    for (const [index, part] of frame.parts.filter((part) => part.kind === 'file').entries()) {
      const path = frame.members[index]?.id ?? '';
      const firstBlock = blockAt(path, part.offset, this.#pageRules.blockSizeBytes);
      if (firstBlock !== undefined) part.pages = { ...this.#pageRules, firstBlock };
    }
  }

  #addSums(frame: PlannedFrame, found: { crc32c: number }[]): void {
    const ranges = frame.parts.filter((part) => part.kind === 'file');
    for (const [index, { crc32c: sum }] of found.entries()) {
      const { id: path, sizeBytes, modifiedAt } = frame.members[index]!;
      const before = this.#sums.get(path);
      const whole = before === undefined ? sum : combineCrc32c(before.crc32c, sum, ranges[index]!.length);
      this.#sums.set(path, { path, sizeBytes, modifiedAt, crc32c: whole });
    }
  }

  #member({ path, sizeBytes, isFolder, modifiedAt }: ClusterFile, cut: number): PlannedMember {
    const source = isFolder ? undefined : this.#source.locate(path);
    return {
      path: path.slice(cut),
      sizeBytes,
      type: isFolder ? 'folder' : 'file',
      modifiedAt,
      source,
      id: path,
    };
  }
}
