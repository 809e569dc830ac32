import { execFile } from 'node:child_process';
import { rename, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { ClonaError } from '../../errors.ts';
import { exists } from './layout.ts';

const execute = promisify(execFile);
const environment = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' };

/**
 * Copies a folder to a name that does not exist yet, sharing blocks where the file system can (reflink), else
 * byte by byte; modes, times, links and owners stay, or everything becomes `uid`'s. It appears under its name
 * when it is whole, or not at all. Throws `diskFull` before the first byte where it cannot fit.
 */
export async function copyFolder(
  from: string,
  to: string,
  options: { uid: number | null; signal: AbortSignal },
): Promise<void> {
  const partial = `${to}.partial`;
  await rm(partial, { recursive: true, force: true });
  try {
    if (!(await copyWith(cloneArguments('always', from, partial), options.signal))) {
      await rm(partial, { recursive: true, force: true });
      await requireSpace(from, dirname(to));
      await copyBytes(from, partial, options.signal);
    }
    await giveTo(partial, options.uid, options.signal);
    await rename(partial, to);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

function cloneArguments(share: 'always' | 'never', from: string, to: string): string[] {
  // macOS: -c clones files (clonefile(2)); GNU and busybox: --reflink.
  if (process.platform === 'darwin') return share === 'always' ? ['-cRp', from, to] : ['-Rp', from, to];
  return share === 'always' ? ['-a', '--reflink=always', from, to] : ['-a', from, to];
}

async function copyWith(argv: readonly string[], signal: AbortSignal): Promise<boolean> {
  try {
    await execute('cp', [...argv], { env: environment, signal, maxBuffer: 2 ** 24 });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** The source may be at work: where nothing is wrong but files that went meanwhile, it is copied once more. */
async function copyBytes(from: string, to: string, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await execute('cp', cloneArguments('never', from, to), {
        env: environment,
        signal,
        maxBuffer: 2 ** 24,
      });
      return;
    } catch (cause) {
      signal.throwIfAborted();
      const text = saidOn('stderr', cause).trim();
      if (/No space left|quota exceeded/i.test(text)) throw fullError(to, cause);
      const gone =
        text !== '' && text.split('\n').every((line) => line.endsWith('No such file or directory'));
      if (!gone || attempt === 3 || !(await exists(from))) {
        throw new ClonaError('machineFailed', `a disk cannot be copied: ${text.split('\n')[0] ?? ''}`, {
          cause,
        });
      }
      await rm(to, { recursive: true, force: true });
    }
  }
}

async function requireSpace(from: string, to: string): Promise<void> {
  // It ends with 1 where a file went while it counted; what it counted stands.
  const counted = await execute('du', ['-sk', from], { env: environment }).catch((error: unknown) => ({
    stdout: saidOn('stdout', error),
  }));
  const neededBytes = (Number.parseInt(counted.stdout, 10) || 0) * 1024;
  const { bavail, bsize } = await statfs(to);
  const freeBytes = bavail * bsize;
  if (neededBytes > freeBytes) throw fullError(to, undefined, { neededBytes, freeBytes });
}

function saidOn(stream: 'stdout' | 'stderr', error: unknown): string {
  return error instanceof Error && stream in error
    ? String((error as Error & Record<string, unknown>)[stream])
    : '';
}

function fullError(path: string, cause: unknown, details?: Record<string, unknown>): ClonaError {
  return new ClonaError('diskFull', `no space left for a copy of the disk at ${path}`, {
    cause,
    details,
    hint: 'free space there, or put the machines on a file system that shares blocks (XFS, btrfs, APFS)',
  });
}

/** Links are changed themselves, never what they point to. */
export async function giveTo(path: string, uid: number | null, signal: AbortSignal): Promise<void> {
  if (uid === null) return;
  await execute('chown', ['-Rh', `${uid}:${uid}`, path], { env: environment, signal });
}
