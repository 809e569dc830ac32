import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { errorCode } from './durable-file.ts';

/** A process that writes into an archive, as it is noted there. */
export interface Writer {
  host: string;
  pid: number;
  /** Tells a process from a later one of the same number. */
  born: string;
}

/** This process. */
export async function describeWriter(): Promise<Writer> {
  return { host: hostname(), pid: process.pid, born: await birthOf(process.pid) };
}

export function parseWriter(text: string): Writer | undefined {
  const found = /"host":"([^"]*)","pid":(\d+),"born":"(\d*)"/.exec(text);
  return found === null ? undefined : { host: found[1] ?? '', pid: Number(found[2]), born: found[3] ?? '' };
}

/** Whether a process of this host still runs. Our own number is another piece of work of this very process. */
export async function isWriterHere(writer: Writer): Promise<boolean> {
  try {
    process.kill(writer.pid, 0);
    return writer.born === (await birthOf(writer.pid));
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Clock ticks since boot at the start of a process; empty where the system does not tell (proc_pid_stat(5), field 22). */
async function birthOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
