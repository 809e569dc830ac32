import { closeSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { openRegularSync } from '../../../archive/regular-file.ts';
import type { CheckAnswer, CheckTask } from './check-pool.ts';
import { checkFrame } from './frame-check.ts';
import { checkLogFile } from './log-file-check.ts';

/** A thread of CheckPool: reads, unpacks and checks what it is given, and answers with findings or an error. */

let opened: { path: string; handle: number } | undefined;

parentPort?.on('message', (task: CheckTask) => {
  const answer: CheckAnswer = { findings: undefined, error: undefined };
  try {
    if (task.kind === 'log') answer.findings = checkLogFile(task);
    else {
      const { path, frame, rules, where } = task;
      const compressed = readRange(path, frame.compressedOffset, frame.compressedBytes);
      answer.findings = checkFrame(compressed, frame, rules, where);
    }
  } catch (error) {
    answer.error = error instanceof Error ? error.message : String(error);
  }
  parentPort?.postMessage(answer, []);
});

let reused = Buffer.alloc(0);

/** Into memory that is used again for the next frame. */
function readRange(path: string, offset: number, length: number): Buffer {
  if (opened?.path !== path) {
    if (opened !== undefined) closeSync(opened.handle);
    opened = undefined;
    opened = { path, handle: openRegularSync(path) };
  }
  if (reused.length < length) reused = Buffer.allocUnsafeSlow(2 * length);
  const buffer = reused.subarray(0, length);
  let done = 0;
  while (done < length) {
    const count = readSync(opened.handle, buffer, done, length - done, offset + done);
    if (count === 0) throw new Error(`the file ends at ${offset + done}, inside a frame`);
    done += count;
  }
  return buffer;
}
