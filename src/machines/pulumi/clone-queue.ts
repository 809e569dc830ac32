import { availableParallelism, freemem } from 'node:os';

/** How much may happen at once. A vCenter refuses or crawls beyond about eight clones a host or datastore. */
export interface CloneLimits {
  /** Engines on this host; each takes memory and processor. */
  engines: number;
  vcenter: number;
  host: number;
  datastore: number;
}

/** Resident memory of an engine with its provider while it clones, measured: 290 MB. */
const engineBytes = 300 * 1024 ** 2;

/** Each engine waits for vCenter more than half of its time, so that some more than there are cores keep them busy. */
const enginesPerCore = 4;

/** Engines that fit: half of the free memory, four a core; at least one. */
export function limitEngines(freeBytes: number = freemem(), cores: number = availableParallelism()): number {
  return Math.max(1, Math.min(Math.floor(freeBytes / 2 / engineBytes), cores * enginesPerCore));
}

export function defaultLimits(): CloneLimits {
  return { engines: limitEngines(), vcenter: 32, host: 8, datastore: 8 };
}

interface Waiting {
  places: ReadonlyMap<string, number>;
  start: () => void;
}

/**
 * Runs work as soon as every place it needs has room; who came first goes first where places are the same. Aborted
 * while it waits, it never starts.
 */
export class CloneQueue {
  readonly #busy = new Map<string, number>();
  readonly #waiting: Waiting[] = [];

  /** `places`: how many may be at work in each place at once, by its name. */
  async run<Result>(
    places: ReadonlyMap<string, number>,
    signal: AbortSignal,
    work: () => Promise<Result>,
  ): Promise<Result> {
    await this.#enter(places, signal);
    try {
      return await work();
    } finally {
      for (const name of places.keys()) this.#busy.set(name, (this.#busy.get(name) ?? 1) - 1);
      this.#startWhatFits();
    }
  }

  async #enter(places: ReadonlyMap<string, number>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { places, start: resolve };
    this.#waiting.push(waiting);
    this.#startWhatFits();
    const giveUp = (): void => {
      const index = this.#waiting.indexOf(waiting);
      if (index === -1) return;
      this.#waiting.splice(index, 1);
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    };
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  #startWhatFits(): void {
    // A full place must not hold up those who need another one, only those behind it who need the same.
    const held = new Set<string>();
    for (const waiting of this.#waiting.slice()) {
      const fits = [...waiting.places].every(
        ([name, limit]) => !held.has(name) && (this.#busy.get(name) ?? 0) < limit,
      );
      if (!fits) {
        for (const [name, limit] of waiting.places) if ((this.#busy.get(name) ?? 0) >= limit) held.add(name);
        continue;
      }
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      for (const name of waiting.places.keys()) this.#busy.set(name, (this.#busy.get(name) ?? 0) + 1);
      waiting.start();
    }
  }
}
