import {
  chownSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { readFully } from './read-source.ts';
import { sumInSteps } from './tar-walk.ts';
import type { FileOwner, FrameJob } from './unpack-job.ts';

/** Writes what a thread has unpacked. Parts of one file may come from several threads in any order: each writes at its own place. */

/** O_RDWR | O_CREAT, with and without O_TRUNC: nothing may be cut that another thread has just written. */
export const fileFlags = { fresh: 'w+', inPlace: constants.O_RDWR | constants.O_CREAT } as const;

/** Bytes written (none, where they were there already) and the CRC-32C of the content. */
export function writePart(
  target: string,
  fileBytes: number,
  offset: number,
  content: Buffer,
  job: Pick<FrameJob, 'owner' | 'compare' | 'run'>,
): { writtenBytes: number; crc32c: number } {
  makeFolder(dirname(target), job);
  const whole = offset === 0 && content.length === fileBytes;
  const file = openSync(target, whole && !job.compare ? fileFlags.fresh : fileFlags.inPlace, 0o600);
  try {
    own(file, job.owner);
    if (job.compare) {
      const { size } = fstatSync(file);
      if (size > fileBytes) ftruncateSync(file, fileBytes);
      if (size >= offset + content.length && isSame(file, offset, content))
        return { writtenBytes: 0, crc32c: sumInSteps(content) };
    }
    const crc32c = sumInSteps(content, (step, at) => writeFully(file, step, offset + at));
    return { writtenBytes: content.length, crc32c };
  } finally {
    closeSync(file);
  }
}

export function writeFully(file: number, content: Buffer, offset: number): void {
  for (let done = 0; done < content.length;) {
    done += writeSync(file, content, done, content.length - done, offset + done);
  }
}

/** Asked first: to give a file away waits for whoever writes into it. */
export function own(file: number, owner: FileOwner | null): void {
  if (owner === null) return;
  const { uid, gid } = fstatSync(file);
  if (uid !== owner.uid || gid !== owner.gid) fchownSync(file, owner.uid, owner.gid);
}

let reused = Buffer.alloc(0);

function isSame(file: number, offset: number, content: Buffer): boolean {
  if (reused.length < content.length) reused = Buffer.allocUnsafeSlow(content.length);
  const there = reused.subarray(0, content.length);
  return readFully(file, there, offset) === content.length && there.equals(content);
}

/** Folders known to be there, of one unpacking: the next one may begin with none. */
const made = new Set<string>();
let madeIn = -1;

export function makeFolder(path: string, { owner, run }: Pick<FrameJob, 'owner' | 'run'>): void {
  if (run !== madeIn) made.clear();
  madeIn = run;
  if (made.has(path)) return;
  try {
    mkdirSync(path, { mode: 0o700 });
    if (owner !== null) chownSync(path, owner.uid, owner.gid);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') {
      makeFolder(dirname(path), { owner, run });
      makeFolder(path, { owner, run });
    } else if (code !== 'EEXIST') throw error;
  }
  made.add(path);
}
