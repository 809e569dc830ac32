import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { targetError } from '../place/target-error.ts';

/** The thread pool of node:fs has four threads; more would only wait. */
const atOnce = 4;
/** The system itself begins to write only at a tenth of the memory (vm.dirty_background_ratio). */
const unaskedBytes = 32 * 2 ** 20;

/**
 * Brings files to the disk while others are still being unpacked, so that the disk works all the time and not only at the
 * end. Failures come out of `finish`.
 */
export class DiskSync {
  readonly #root: string;
  readonly #waiting: string[] = [];
  readonly #folders = new Set(['.']);
  /** Bytes of unfinished files that nobody was asked to bring to the disk yet. */
  readonly #unasked = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();
  #failure: unknown;

  constructor(root: string) {
    this.#root = root;
  }

  /** Part of a file that is not whole yet: a large file must not leave all of its bytes to the end. */
  wrote(path: string, bytes: number): void {
    const unasked = (this.#unasked.get(path) ?? 0) + bytes;
    this.#unasked.set(path, unasked < unaskedBytes ? unasked : 0);
    if (unasked < unaskedBytes) return;
    this.#waiting.push(path);
    this.#fill();
  }

  /** A file that is whole. */
  begin(path: string): void {
    this.#unasked.delete(path);
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1))
      this.#folders.add(path.slice(0, at));
    this.#waiting.push(path);
    this.#fill();
  }

  async finish(): Promise<void> {
    await this.#drain();
    this.#waiting.push(...this.#folders);
    await this.#drain();
    if (this.#failure !== undefined) throw targetError(this.#failure, this.#root);
  }

  async #drain(): Promise<void> {
    this.#fill();
    while (this.#running.size > 0) await Promise.race(this.#running);
  }

  #fill(): void {
    while (this.#running.size < atOnce && this.#waiting.length > 0) {
      const syncing: Promise<void> = this.#syncSome().finally(() => this.#running.delete(syncing));
      this.#running.add(syncing);
    }
  }

  async #syncSome(): Promise<void> {
    for (let path = this.#waiting.shift(); path !== undefined; path = this.#waiting.shift())
      await this.#sync(path);
  }

  async #sync(path: string): Promise<void> {
    try {
      const file = await open(join(this.#root, path), 'r');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }
}
