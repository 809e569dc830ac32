import { setTimeout as wait } from 'node:timers/promises';
import { judgePages, type PageVerdict } from './page-checksum.ts';

/** How the pages of a range are judged while it is copied. */
export interface CopiedPages {
  blockSizeBytes: number;
  /** Block of the relation with which the range begins. */
  firstBlock: number;
  /** Where the backup began: pages written later come from the log. */
  startPosition: bigint;
}

const attempts = 10;
const pauseMs = 10;
const bell = new Int32Array(new SharedArrayBuffer(4));

/**
 * A page that was copied while the server wrote it is fractured: head and tail from two moments. One with the old head would
 * look damaged for ever, though recovery replaces it. So pages that do not match are read again until they do, as the server
 * does it (basebackup.c), for a tenth of a second in all; then they are what they are, and the proof names them. Returns how
 * many are left. Blocks its thread.
 */
export function settlePages(
  content: Buffer,
  { blockSizeBytes, firstBlock, startPosition }: CopiedPages,
  readAgain: (page: Buffer, offset: number) => void,
): number {
  const tally: Record<PageVerdict, number> = { good: 0, new: 0, later: 0, damaged: 0, 'torn-new': 0 };
  let odd = judgePages(content, blockSizeBytes, firstBlock, startPosition, tally);
  for (let attempt = 0; odd.length > 0 && attempt < attempts; attempt += 1) {
    if (attempt > 0) Atomics.wait(bell, 0, 0, pauseMs);
    odd = odd.filter(({ block }) => {
      const at = (block - firstBlock) * blockSizeBytes;
      const page = content.subarray(at, at + blockSizeBytes);
      readAgain(page, at);
      return judgePages(page, blockSizeBytes, block, startPosition, tally).length > 0;
    });
  }
  return odd.length;
}

/** The same for pages that come through a session: the wait for one file holds up no other. */
export async function settlePagesElsewhere(
  content: Buffer,
  { blockSizeBytes, firstBlock, startPosition }: CopiedPages,
  readAgain: (page: Buffer, offset: number) => Promise<void>,
): Promise<number> {
  const tally: Record<PageVerdict, number> = { good: 0, new: 0, later: 0, damaged: 0, 'torn-new': 0 };
  let odd = judgePages(content, blockSizeBytes, firstBlock, startPosition, tally);
  for (let attempt = 0; odd.length > 0 && attempt < attempts; attempt += 1) {
    if (attempt > 0) await wait(pauseMs);
    const left: typeof odd = [];
    for (const fault of odd) {
      const at = (fault.block - firstBlock) * blockSizeBytes;
      const page = content.subarray(at, at + blockSizeBytes);
      await readAgain(page, at);
      const faults = judgePages(page, blockSizeBytes, fault.block, startPosition, tally);
      if (faults.length > 0) left.push(fault);
    }
    odd = left;
  }
  return odd.length;
}
