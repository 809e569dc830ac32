import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ClonaError } from '../errors.ts';
import type { KitLimits } from './limits.ts';
import { checkEntryPath } from './paths.ts';
import { fileMode, finishTree, tooLarge, tooMany, type Tree } from './tree.ts';
import type { TreeEntry } from './tree-entry.ts';

/**
 * Writes the entries of a kit below a new folder, whatever they are read from. Links are only remembered and
 * made in `finish`, after every one was checked: nothing is ever written through a link.
 */
export class TreeWriter {
  readonly directory: string;
  readonly #limits: KitLimits;
  readonly #signal: AbortSignal;
  readonly #entries = new Map<string, TreeEntry>();
  #bytes = 0;

  constructor(directory: string, limits: KitLimits, signal: AbortSignal) {
    this.directory = directory;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** `mode` as in stat; only the owner's right to execute is kept. */
  async addFile(rawPath: string, mode: number, content: AsyncIterable<Buffer>): Promise<void> {
    const path = this.#claim(rawPath);
    const entry: TreeEntry = { path, mode: fileMode(mode), sizeBytes: 0 };
    this.#entries.set(path, entry);
    const target = join(this.directory, path);
    await this.#makeFolder(path);
    const count = async function* (this: TreeWriter, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of source) {
        entry.sizeBytes += chunk.length;
        this.#bytes += chunk.length;
        if (this.#bytes > this.#limits.unpackedBytes) throw tooLarge(this.#limits);
        yield chunk;
      }
    }.bind(this);
    // "wx": a file system that ignores case must not let a second name overwrite a first.
    const file = createWriteStream(target, { flags: 'wx', mode: entry.mode === '100755' ? 0o755 : 0o644 });
    await pipeline(content, count, file, { signal: this.#signal });
  }

  /** A hard link of a tar: a second name for a file that came before it. */
  async addCopy(
    rawPath: string,
    rawTarget: string,
    open: (path: string) => AsyncIterable<Buffer>,
  ): Promise<void> {
    const target = this.#entries.get(checkEntryPath(rawTarget, this.#limits.depth));
    if (target === undefined || target.link !== undefined) {
      throw new ClonaError(
        'kitInvalid',
        `the kit's hard link "${rawPath}" has no file before it to stand for`,
      );
    }
    const mode = target.mode === '100755' ? 0o755 : 0o644;
    await this.addFile(rawPath, mode, open(join(this.directory, target.path)));
  }

  addLink(rawPath: string, link: string): void {
    const path = this.#claim(rawPath);
    this.#entries.set(path, { path, mode: '120000', sizeBytes: Buffer.byteLength(link), link });
  }

  /** Folders are made for what they hold; an entry for one is only checked. */
  addFolder(rawPath: string): void {
    checkEntryPath(rawPath, this.#limits.depth);
  }

  async finish(): Promise<Tree> {
    const lifted = await this.#liftOnlyFolder();
    const tree = finishTree(this.directory, lifted, this.#limits);
    for (const { path, link } of tree.entries) {
      if (link === undefined) continue;
      await this.#makeFolder(path);
      await symlink(link, join(this.directory, path));
    }
    return tree;
  }

  #claim(rawPath: string): string {
    this.#signal.throwIfAborted();
    const path = checkEntryPath(rawPath, this.#limits.depth);
    if (path === '') throw new ClonaError('kitInvalid', 'the kit holds a file without a name');
    if (this.#entries.has(path)) {
      throw new ClonaError('kitInvalid', `the kit holds "${path}" twice`, {
        hint: 'ask the vendor for an archive that holds each file once',
      });
    }
    if (this.#entries.size >= this.#limits.entries) throw tooMany(this.#limits);
    return path;
  }

  async #makeFolder(path: string): Promise<void> {
    try {
      await mkdir(dirname(join(this.directory, path)), { recursive: true });
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
      if (code !== 'EEXIST' && code !== 'ENOTDIR') throw cause;
      throw new ClonaError('kitInvalid', `the kit holds "${dirname(path)}" both as a folder and as a file`, {
        cause,
      });
    }
  }

  /** `tar c erp-2.1/` is as common as `cd erp-2.1; tar c .`: both are the kit erp-2.1. */
  async #liftOnlyFolder(): Promise<TreeEntry[]> {
    const entries = [...this.#entries.values()];
    const top = entries[0]?.path.split('/')[0];
    if (top === undefined || this.#entries.has('kit.yaml') || !this.#entries.has(`${top}/kit.yaml`))
      return entries;
    const prefix = `${top}/`;
    if (!entries.every(({ path }) => path.startsWith(prefix))) return entries;
    const aside = `${this.directory}.lift`;
    await rename(join(this.directory, top), aside);
    await rm(this.directory, { recursive: true, force: true });
    await rename(aside, this.directory);
    return entries.map((entry) => ({ ...entry, path: entry.path.slice(prefix.length) }));
  }
}
