import type { PartOrigin } from './file-ledger.ts';

/** A frame still to be unpacked. */
export interface FrameOfFile {
  origin: PartOrigin;
  /** The file that the frame lies inside; null: it begins with a file of its own. */
  path: string | null;
  bytes: number;
}

interface Group {
  frames: FrameOfFile[];
  bytes: number;
  taken: number;
  running: number;
}

/**
 * Hands out frames so that threads write into different files, since the system lets but one at a time write into a file,
 * and so that the largest files come first: none of them is left for one thread at the end. Pure.
 */
export class FrameQueue {
  /** The smallest last: taken from the end. */
  readonly #rest: Group[];
  readonly #active: Group[] = [];
  readonly #groupOf = new Map<FrameOfFile, Group>();

  /** `files`: how many files are chosen from at a time. */
  constructor(frames: Iterable<FrameOfFile>, files: number) {
    const groups = new Map<string | null, Group>();
    for (const frame of frames) {
      const group = groups.get(frame.path) ?? { frames: [], bytes: 0, taken: 0, running: 0 };
      groups.set(frame.path, group);
      group.frames.push(frame);
      group.bytes += frame.bytes;
      this.#groupOf.set(frame, group);
    }
    this.#rest = [...groups.values()].sort((a, b) => a.bytes - b.bytes);
    for (let count = 0; count < files; count += 1) this.#activate();
  }

  /** undefined: all were handed out. */
  take(): FrameOfFile | undefined {
    let best: Group | undefined;
    for (const group of this.#active) {
      if (best === undefined || comesBefore(group, best)) best = group;
    }
    const frame = best?.frames[best.taken];
    if (best === undefined || frame === undefined) return undefined;
    best.taken += 1;
    best.running += 1;
    best.bytes -= frame.bytes;
    if (best.taken === best.frames.length) {
      this.#active.splice(this.#active.indexOf(best), 1);
      this.#activate();
    }
    return frame;
  }

  /** A frame that was taken is done with. */
  putBack(frame: FrameOfFile): void {
    const group = this.#groupOf.get(frame);
    if (group !== undefined) group.running -= 1;
    this.#groupOf.delete(frame);
  }

  #activate(): void {
    const group = this.#rest.pop();
    if (group !== undefined) this.#active.push(group);
  }
}

function comesBefore(a: Group, b: Group): boolean {
  return a.running === b.running ? a.bytes > b.bytes : a.running < b.running;
}
