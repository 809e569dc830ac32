import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { ClonaError } from '../../../../errors.ts';
import { readArchive } from '../../catalog.ts';
import { resolveBinaries, type PostgresBinaries, type RunAs } from '../../server-binaries.ts';
import { nobody } from '../../server-cluster.ts';
import { defaultWorkers } from '../default-workers.ts';
import { openLocalPlace } from './local-place.ts';
import type { RestorePlace } from './place.ts';

const run = promisify(execFile);

export interface LocalRestoreChoice {
  archiveDir: string;
  mirrorDir?: string | undefined;
  target: string;
  /** Name or number of the server's user, when clona is root. */
  runAsUser?: string | undefined;
  binDir?: string | undefined;
  workers?: number | undefined;
  signal: AbortSignal;
}

/** Finds server and user for a restore to this host, from nothing but the archive and the target. */
export async function prepareLocalRestore(
  choice: LocalRestoreChoice,
): Promise<{ place: RestorePlace; binaries: PostgresBinaries; runAs: RunAs | undefined }> {
  const { signal } = choice;
  const { folders } = await readArchive(choice, signal);
  const version = folders.flatMap((folder) => folder.backups).find(({ header }) => header !== null)
    ?.header?.serverVersion;
  const runAs = await chooseUser(choice.target, choice.runAsUser);
  const major = version === undefined ? undefined : Math.floor(version / 10_000);
  const binaries = await resolveBinaries({
    binDir: choice.binDir,
    major: choice.binDir === undefined ? major : undefined,
    runAs,
  });
  const workers = choice.workers ?? defaultWorkers();
  return { place: openLocalPlace({ binaries, runAs, workers, signal }), binaries, runAs };
}

/** PostgreSQL does not run as root: the owner of the folder the target lies in, else postgres, else nobody. */
async function chooseUser(target: string, name: string | undefined): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  if (name !== undefined) {
    const named = await lookUp(name);
    if (named === undefined || named.uid === 0) {
      throw new ClonaError('usage', `"${name}" is not a user the server can run as`, {
        hint: 'PostgreSQL does not run as root',
      });
    }
    return named;
  }
  for (let folder = dirname(target); ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    if (found !== undefined) {
      if (found.uid !== 0) return { uid: found.uid, gid: found.gid };
      break;
    }
    if (folder === dirname(folder)) break;
  }
  return (await lookUp('postgres')) ?? nobody;
}

async function lookUp(name: string): Promise<RunAs | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return /^\d+$/.test(name) ? { uid: Number(name), gid: Number(name) } : undefined;
  }
}
