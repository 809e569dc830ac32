import { chown, lstat, mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArchiveFile, BackupHeader } from '../../../../archive/format.ts';
import { paddedBytes } from '../../../../archive/tar-header.ts';
import { ClonaError } from '../../../../errors.ts';
import type { OnProgress } from '../../../../progress.ts';
import type { BackupManifest, ManifestFile } from '../../manifest.ts';
import { DiskSync } from './disk-sync.ts';
import { isOnDisk } from './file-on-disk.ts';
import { FileLedger, type PartOrigin } from './file-ledger.ts';
import { FrameQueue, type FrameOfFile } from './frame-queue.ts';
import { damagedEverywhere, FrameReader } from './frame-reader.ts';
import { controlFile, heldControlFile, type FileOwner } from './unpack-job.ts';
import type { UnpackPool } from './unpack-pool.ts';

export interface UnpackOptions {
  header: BackupHeader;
  manifest: BackupManifest;
  /** Folders that hold this backup: the primary, then the mirror. */
  sources: string[];
  /** The data directory to be; what lies there already is used where it is right and removed where it is not. */
  root: string;
  /** Where each tablespace goes, by its number. */
  tablespaces: ReadonlyMap<number, string>;
  owner: FileOwner | null;
  pool: UnpackPool;
  onProgress: OnProgress;
}

export interface UnpackOutcome {
  bytes: number;
  writtenBytes: number;
  /** Files that were there already and right, so that they were not even unpacked. */
  reusedFiles: number;
  /** What was damaged in one copy and taken from the other. */
  repairs: string[];
}

/**
 * Unpacks a backup and proves every file against its manifest. pg_control comes to its place last: until then no
 * server starts there. Throws `archiveDamaged` naming the file, when no copy of it is whole.
 */
export async function unpackBackup(options: UnpackOptions): Promise<UnpackOutcome> {
  const { header, manifest, root, owner } = options;
  const ledger = new FileLedger(manifest);
  const unpacking = new Unpacking(options, ledger);
  await makeOwnFolder(root, owner);
  await linkTablespaces(options);
  const wasThere = await removeStrangers(options, ledger);
  if (wasThere) await unpacking.findReusable();
  await unpacking.unpackAll(wasThere);
  const missing = ledger.findMissing(header.label);
  if (missing !== undefined) throw missing;
  await unpacking.finishSync();
  await rename(join(root, heldControlFile), join(root, controlFile));
  return unpacking.outcome;
}

/** With every missing parent: whoever owns the folder must also be able to enter it. */
export async function makeOwnFolder(path: string, owner: FileOwner | null): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (owner === null) return;
  for (let made = path; ; made = dirname(made)) {
    await chown(made, owner.uid, owner.gid);
    if (first === undefined || made === first || made === dirname(made)) return;
  }
}

/** Links lead to the new places before anything is written through them. */
async function linkTablespaces({ root, tablespaces, owner }: UnpackOptions): Promise<void> {
  await makeOwnFolder(join(root, 'pg_tblspc'), owner);
  for (const [oid, place] of tablespaces) {
    await makeOwnFolder(place, owner);
    const link = join(root, 'pg_tblspc', String(oid));
    await rm(link, { force: true });
    await symlink(place, link);
  }
}

/** Removes what does not belong to this backup. True: something was there. */
async function removeStrangers(options: UnpackOptions, ledger: FileLedger): Promise<boolean> {
  const { root, tablespaces } = options;
  let found = false;
  const sweep = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() || (folder === 'pg_tblspc' && tablespaces.has(Number(entry.name))))
        await sweep(path);
      else if (path === controlFile) await rename(join(root, path), join(root, heldControlFile));
      else if (ledger.expects(path) === undefined && path !== heldControlFile) await rm(join(root, path));
      found ||= !entry.isDirectory() && folder !== 'pg_tblspc';
    }
  };
  await sweep('');
  return found;
}

let runs = 0;

function nextRun(): number {
  runs += 1;
  return runs;
}

const smallestReusableBytes = 2 ** 20;

class Unpacking {
  readonly outcome: UnpackOutcome = { bytes: 0, writtenBytes: 0, reusedFiles: 0, repairs: [] };
  readonly #options: UnpackOptions;
  readonly #ledger: FileLedger;
  readonly #reusable = new Set<string>();
  readonly #reader: FrameReader;
  readonly #disk: DiskSync;
  readonly #run = nextRun();

  constructor(options: UnpackOptions, ledger: FileLedger) {
    this.#options = options;
    this.#ledger = ledger;
    this.#disk = new DiskSync(options.root);
    this.#reader = new FrameReader(options.header, options.sources, this.outcome.repairs);
  }

  /** Files that lie there whole: their frames need not be read at all. Small ones are compared while unpacking. */
  async findReusable(): Promise<void> {
    const { root, pool } = this.#options;
    const large = [...this.#ledger.paths()].filter((path) => {
      const file = this.#ledger.expects(path);
      return file?.checksum !== null && (file?.sizeBytes ?? 0) >= smallestReusableBytes;
    });
    await forEachOf(large, pool.workers * 2, async (path) => {
      if (!(await isOnDisk(pool, root, path, this.#ledger.expects(path)!))) return; // listed by itself
      this.#reusable.add(path);
      this.#ledger.markWhole(path);
      this.outcome.reusedFiles += 1;
    });
  }

  async unpackAll(compare: boolean): Promise<void> {
    const { header, pool, onProgress } = this.#options;
    const queue = new FrameQueue(this.#neededFrames(), pool.workers * 2);
    const totalBytes = header.rawBytes;
    let toldBytes = 0;
    const runner = async (): Promise<void> => {
      for (let next = queue.take(); next !== undefined; next = queue.take()) {
        await this.#unpack(next.origin, compare);
        queue.putBack(next);
        if (this.outcome.bytes - toldBytes < totalBytes / 100) continue;
        toldBytes = this.outcome.bytes;
        onProgress({ step: unpackStep, state: 'running', doneBytes: toldBytes, totalBytes });
      }
    };
    await Promise.all(Array.from({ length: pool.workers * 3 }, runner));
  }

  *#neededFrames(): Generator<FrameOfFile> {
    for (const [archive, file] of this.#options.header.archives.entries()) {
      for (const [frame, { inside, rawBytes }] of file.frames.entries()) {
        if (!this.#isNeeded(file, frame)) continue;
        const path = inside === null ? null : prefixOf(file) + inside.path;
        yield { origin: { archive, frame }, path, bytes: rawBytes };
      }
    }
  }

  /** Waits until every file and folder is on the disk. */
  async finishSync(): Promise<void> {
    for (const path of this.#reusable) this.#disk.begin(path);
    await this.#disk.finish();
  }

  /** A frame that lies inside one file that is there already is not read. */
  #isNeeded(archive: ArchiveFile, index: number): boolean {
    const { inside, rawBytes } = archive.frames[index]!; // its own index
    if (inside === null || !this.#reusable.has(prefixOf(archive) + inside.path.replace(/^(?:\.\/)+/, '')))
      return true;
    return paddedBytes(inside.fileBytes) - inside.fileOffset < rawBytes;
  }

  async #unpack(origin: PartOrigin, compare: boolean): Promise<void> {
    const { root, owner, pool } = this.#options;
    const unpacked = await this.#reader.read(origin, async (source, frame, archive) =>
      pool.run({
        kind: 'frame',
        source,
        frame,
        root,
        prefix: prefixOf(archive),
        owner,
        compare,
        run: this.#run,
      }),
    );
    this.outcome.writtenBytes += unpacked.writtenBytes;
    refuseLinks(unpacked.links, this.#options.header.label);
    for (const part of unpacked.parts) {
      this.outcome.bytes += part.bytes;
      const verdict = this.#ledger.take(part, origin);
      if (verdict.kind === 'wrong') await this.#repair(part.path, verdict.problem, verdict.origins);
      else if (verdict.kind === 'read') await this.#readAgain(part.path, verdict.file);
      const path = part.path === controlFile ? heldControlFile : part.path;
      if (verdict.kind === 'unfinished') this.#disk.wrote(path, part.bytes);
      else this.#disk.begin(path);
    }
  }

  /** The frames were whole but the file is not what the manifest says: the other copy gets its turn. */
  async #repair(path: string, problem: string, origins: readonly PartOrigin[]): Promise<void> {
    this.#reader.turnToOther(problem, origins);
    this.#ledger.forget(path);
    for (const origin of origins) await this.#unpack(origin, true);
  }

  async #readAgain(path: string, file: ManifestFile): Promise<void> {
    const { root, pool, header, sources } = this.#options;
    if (file.checksum === null) return;
    if (!(await isOnDisk(pool, root, path === controlFile ? heldControlFile : path, file))) {
      throw damagedEverywhere(
        `backup ${header.label}: ${path} does not match its checksum`,
        undefined,
        sources.length,
      );
    }
    this.#ledger.markWhole(path);
  }
}

export const unpackStep = 'unpack and verify';

export function prefixOf({ tablespaceOid }: ArchiveFile): string {
  return tablespaceOid === null ? '' : `pg_tblspc/${tablespaceOid}/`;
}

/** Links of tablespaces are made anew; a backup holds no others. */
export function refuseLinks(links: readonly string[], label: string): void {
  const strange = links.find((path) => !/^pg_tblspc\/\d+$/.test(path));
  if (strange === undefined) return;
  throw new ClonaError('archiveDamaged', `backup ${label}: ${strange} is a link, which no backup holds`);
}

/** Runs `work` over the items, at most `atOnce` of them at a time; the first failure ends it. */
export async function forEachOf<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const next = items[Symbol.iterator]();
  const runner = async (): Promise<void> => {
    for (let item = next.next(); item.done !== true; item = next.next()) await work(item.value);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, runner));
}

/** Whether a path is there, links not followed. */
export async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
