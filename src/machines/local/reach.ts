import { createHash } from 'node:crypto';
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ClonaError } from '../../errors.ts';

export function runsAsRoot(): boolean {
  return process.platform !== 'win32' && process.getuid?.() === 0;
}

/**
 * The folder that holds the machines of a site. A machine's own user must be able to reach its disks, and a
 * parent folder's mode is never changed for that: under a closed one (such as /root) the machines move out.
 */
export function chooseMachinesRoot(wanted: string): { root: string; movedFrom: string | null } {
  const root = machinesRoot(wanted);
  if (!runsAsRoot() || isOpenToAll(root)) return { root, movedFrom: null };
  const name = shortHash(root);
  for (const base of ['/var/lib', tmpdir()]) {
    if (isOpenToAll(base) && isWritable(base)) return { root: join(base, 'clona', name), movedFrom: root };
  }
  throw new ClonaError('machineFailed', `no folder for machines can be reached by their users: ${root}`, {
    hint: 'put the site into a folder that everybody may pass through (mode o+x on every parent)',
  });
}

function isOpenToAll(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      if ((statSync(folder).mode & 0o001) === 0) return false;
    } catch {
      // not made yet; whoever makes it opens it
    }
    if (folder === dirname(folder)) return true;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The given root with links resolved, so that every way to it is the same machine. */
export function machinesRoot(root: string): string {
  const absolute = resolve(root);
  for (let known = absolute; ; known = dirname(known)) {
    try {
      return join(realpathSync(known), absolute.slice(known.length));
    } catch {
      if (known === dirname(known)) return absolute;
    }
  }
}

export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
