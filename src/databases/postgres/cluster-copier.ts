import { combineCrc32c } from '../../archive/crc32c-combine.ts';
import { crc32c } from '../../archive/crc32c.ts';
import type { ArchiveFile } from '../../archive/format.ts';
import { createFrameFile, type FrameFile } from '../../archive/frame-file.ts';
import { planFrames, type PlannedFrame, type PlannedMember } from '../../archive/frame-plan.ts';
import type { FramePool, PackedFrame } from '../../archive/frame-pool.ts';
import { TarFramer } from '../../archive/tar-frames.ts';
import { ClonaError } from '../../errors.ts';
import type { OnProgress } from '../../progress.ts';
import { controlPath } from './backup-hot-end.ts';
import type { ManifestEntry } from './backup-manifest.ts';
import type { ClusterFile } from './cluster-files.ts';
import type { ClusterSource } from './cluster-source.ts';
import type { CopiedPages } from './prove/fractured-pages.ts';
import { blockAt } from './prove/relation-file.ts';

export interface CopierContext {
  /** Of the draft. */
  folder: string;
  signal: AbortSignal | undefined;
  onProgress: OnProgress;
  /** Nothing may change meanwhile: a file that is shorter than it was, or gone, ends the copy. */
  refusesChange?: boolean | undefined;
}

export type PageRules = Pick<CopiedPages, 'blockSizeBytes' | 'startPosition'>;

export interface Tablespace {
  oid: number;
  location: string;
  /** The folder of this major version inside it: others may lie beside it after an upgrade. */
  folder: string;
}

/** Copies the files of a cluster, frame by frame on several threads, and sums them for the manifest. */
export class ClusterCopier {
  readonly #context: CopierContext;
  readonly #pool: FramePool;
  readonly #source: ClusterSource;
  readonly #pageRules: PageRules | undefined;
  readonly #sums = new Map<string, ManifestEntry>();
  #doneBytes = 0;

  constructor(
    context: CopierContext,
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
    let changed: ClonaError | undefined;
    for (const frame of planFrames(files.map((found) => this.#member(found, cut)))) {
      signal?.throwIfAborted();
      let slot = this.#pool.take();
      while (slot === undefined) {
        await this.#pool.whenFree();
        slot = this.#pool.take();
      }
      const failure = file.failure();
      if (failure !== undefined) throw failure;
      if (changed !== undefined) throw changed;
      this.#judgePages(frame);
      const packing = this.#source.pack(slot, frame);
      const appended = file.append(slot, frame.rawBytes, frame.inside, packing);
      // The file settles its appends in their order, so sums are added in the order of the offsets.
      const work = (async () => {
        const found = await appended;
        if (this.#context.refusesChange === true) changed ??= findChanged(frame, found);
        this.#addSums(frame, found);
      })();
      running.add(work);
      void work.finally(() => running.delete(work)).catch(() => {});
      this.#doneBytes += frame.rawBytes;
      onProgress({ step: 'copying the cluster', state: 'running', doneBytes: this.#doneBytes });
    }
    await Promise.all(running);
    if (changed !== undefined) throw changed;
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

  #addSums(frame: PlannedFrame, found: PackedFrame['files']): void {
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

/** What a running server may cut or drop, since its log says so: a stopped one has no such excuse. */
function findChanged(frame: PlannedFrame, found: PackedFrame['files']): ClonaError | undefined {
  const ranges = frame.parts.filter((part) => part.kind === 'file');
  const index = found.findIndex(({ foundBytes }, at) => foundBytes !== ranges[at]?.length);
  if (index < 0) return undefined;
  return new ClonaError('databaseFailed', `${frame.members[index]?.id} changed while it was copied`, {
    hint: 'something else works in the data directory of a stopped server: find out what it is',
  });
}
