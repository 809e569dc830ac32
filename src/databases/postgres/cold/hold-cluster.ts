import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errorCode } from '../../../archive/durable-file.ts';
import { ClonaError } from '../../../errors.ts';
import { readServerState } from '../server.ts';
import type { RunAs } from '../server-binaries.ts';

/** A stopped cluster that no server can be started on. */
export interface ClusterHold extends AsyncDisposable {
  /** Throws `databaseFailed` when the hold was broken meanwhile. */
  check: () => Promise<void>;
}

/**
 * Keeps every server from a stopped cluster, by the server's own lock: postmaster.pid with the number of a living process
 * of the server's user (CreateLockFile in miscinit.c; negative, as a single-user server's). That process is a helper that
 * ends with us, however we end: what is left of the lock then hinders nobody. Throws `databaseFailed` where a server runs.
 */
export async function holdCluster(dataDir: string, owner: RunAs | undefined): Promise<ClusterHold> {
  const path = join(dataDir, 'postmaster.pid');
  if ((await readServerState(dataDir)).pid !== undefined) throw runsError(dataDir);
  const helper = spawn('/bin/sh', ['-c', 'read -r answer'], {
    ...owner,
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  helper.stdin.on('error', () => {});
  const ended = once(helper, 'close');
  const release = async (): Promise<void> => {
    helper.stdin.end();
    await ended.catch(() => {});
  };
  try {
    await once(helper, 'spawn');
    const text = `-${helper.pid}\n${dataDir}\n${Math.floor(Date.now() / 1000)}\n`;
    await takeLock(path, text, dataDir, owner);
    return {
      check: async () => {
        const found = await readFile(path, 'utf8').catch(() => '');
        if (found === text && helper.exitCode === null && helper.signalCode === null) return;
        throw new ClonaError('databaseFailed', `${path} was taken away while the cluster was copied`, {
          hint: 'somebody started a server meanwhile: what was copied is not kept',
        });
      },
      [Symbol.asyncDispose]: async () => {
        const isOurs = (await readFile(path, 'utf8').catch(() => '')) === text;
        if (isOurs) await rm(path, { force: true });
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

async function takeLock(
  path: string,
  text: string,
  dataDir: string,
  owner: RunAs | undefined,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await using handle = await open(path, 'wx', 0o600);
      await handle.writeFile(text);
      if (owner !== undefined) await chown(path, owner.uid, owner.gid);
      return;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST' || attempt > 1) throw lockError(error, path);
    }
    // It is there: of a server that was started just now, or of one that is no more.
    if (await isHeld(path, dataDir)) throw runsError(dataDir);
    await rm(path, { force: true });
  }
}

/** Also another one's hold, whose helper works in no data directory. */
async function isHeld(path: string, dataDir: string): Promise<boolean> {
  if ((await readServerState(dataDir)).pid !== undefined) return true;
  const holder = await readHolder(path);
  return holder !== undefined && (await isAlive(holder));
}

async function readHolder(path: string): Promise<number | undefined> {
  const first = (await readFile(path, 'utf8').catch(() => '')).split('\n')[0] ?? '';
  return /^-\d+$/.test(first) ? -Number(first) : undefined;
}

/** One that has ended and is only not waited for yet (an init that does so late, or never) is dead. */
async function isAlive(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  if (text.slice(text.lastIndexOf(')') + 2).startsWith('Z')) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

const helperEndsWithinMs = 10_000;

/** Takes away what a killed run left of its hold: its helper ends by itself, a moment later. */
export async function removeLeftHold(dataDir: string): Promise<void> {
  const path = join(dataDir, 'postmaster.pid');
  const holder = await readHolder(path);
  if (holder === undefined) return;
  const until = performance.now() + helperEndsWithinMs;
  while ((await isAlive(holder)) && performance.now() < until) await wait(20);
  if (!(await isAlive(holder))) await rm(path, { force: true });
}

function runsError(dataDir: string): ClonaError {
  return new ClonaError(
    'databaseFailed',
    `a server runs in ${dataDir}, or is held back there by another run`,
    {
      hint: 'a cold backup copies a stopped cluster only',
    },
  );
}

function lockError(error: unknown, path: string): ClonaError {
  return new ClonaError('databaseFailed', `${path} cannot be written, so no server can be kept away`, {
    cause: error,
    hint: "run clona as root or as the server's user",
  });
}
