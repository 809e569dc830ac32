import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../errors.ts';
import { processStamp } from './processes.ts';

const patienceMs = 120_000;

/**
 * Runs `work` while nobody else holds the lock file. A lock whose process has ended, by number and starting
 * time, is taken over. Waits up to two minutes, then throws `locked` and names the holder.
 */
export async function withFileLock<Result>(
  path: string,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  const mine = JSON.stringify({ host: hostname(), pid: process.pid, stamp: await processStamp(process.pid) });
  const own = `${path}.${randomBytes(6).toString('hex')}`;
  const deadline = Date.now() + patienceMs;
  try {
    await writeFile(own, mine, { mode: 0o600 });
    for (;;) {
      signal.throwIfAborted();
      if (await succeeds(link(own, path))) break;
      const holder = await readFile(path, 'utf8').catch(() => undefined);
      if (holder !== undefined && (await isStale(holder))) await removeStale(path, holder);
      else if (Date.now() > deadline) throw heldError(path, holder);
      else await wait(20);
    }
  } finally {
    await rm(own, { force: true });
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function isStale(holder: string): Promise<boolean> {
  try {
    const { host, pid, stamp } = JSON.parse(holder) as { host: string; pid: number; stamp: string };
    return host === hostname() && (await processStamp(pid)) !== stamp;
  } catch {
    return true; // cut off by a crash: link() made it whole or not at all, so nobody lives by it
  }
}

/** Two may find the same stale lock: whoever moved away a newer one instead puts it back. */
async function removeStale(path: string, holder: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  if (!(await succeeds(rename(path, aside)))) return;
  if ((await readFile(aside, 'utf8')) !== holder) await succeeds(link(aside, path));
  await rm(aside, { force: true });
}

function heldError(path: string, holder: string | undefined): ClonaError {
  const pid = /"pid":(\d+)/.exec(holder ?? '')?.[1] ?? 'unknown';
  return new ClonaError('locked', `another run (process ${pid}) works on this machine`, {
    hint: `wait for it; if there is none, remove ${path}`,
  });
}

async function succeeds(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'EEXIST' || error.code === 'ENOENT')) {
      return false;
    }
    throw error;
  }
}
