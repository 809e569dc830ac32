import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../archive/durable-file.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import type { DatabaseAddress } from '../database.ts';
import type { BackupModeMark } from './backup-mode.ts';
import { connectOracle } from './connect.ts';
import { makeFolder } from './guest-tools.ts';
import type { HotBackupPorts } from './hot-backup.ts';
import { sumOnGuest } from './keep-logs.ts';
import { joinGuest } from './rman-text.ts';

export interface GuestHotBackup {
  address: DatabaseAddress;
  /** The machine of the database. */
  guest: Guest;
  /** Where the copies go, as that machine sees it. */
  folder: string;
  /** Where the mark is kept, on this host. */
  markFile: string;
}

/** What is left of a backup that was broken off lies in the archive, for whoever starts next. */
export function markFileOf(archiveDir: string): string {
  return join(archiveDir, '.oracle-backup-mode.json');
}

export async function readMark(markFile: string): Promise<BackupModeMark | null> {
  const text = await readFile(markFile, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  });
  return text === null ? null : (JSON.parse(text) as BackupModeMark);
}

/** Copies with the machine's own means, next to each other under the number of the datafile. Linux guests. */
export function hotBackupPorts({ address, guest, folder, markFile }: GuestHotBackup): HotBackupPorts {
  const placeOf: HotBackupPorts['placeOf'] = ({ file }) =>
    joinGuest(guest.platform, folder, `file_${file}.dbf`);
  return {
    placeOf,
    // No signal of the run: END BACKUP must still go through when the run is interrupted.
    open: async () => connectOracle(address, new AbortController().signal, { module: 'clona hot backup' }),
    identify: async (name) => identifyFile(guest, name),
    mark: async (mark) => {
      if (mark === null) await rm(markFile, { force: true });
      else await writeDurably(markFile, `${JSON.stringify(mark)}\n`);
    },
    copy: async (file, signal) => {
      const { name, bytes } = file;
      await makeFolder(guest, folder, signal);
      const path = placeOf(file);
      const copied = await guest.run(['cp', '--', name, `${path}.part`], { signal });
      const moved =
        copied.exitCode === 0 ? await guest.run(['mv', '--', `${path}.part`, path], { signal }) : copied;
      const { exitCode, stderr } = moved;
      if (exitCode === 0)
        return { path, bytes, sha256: (await sumOnGuest(guest, path, signal)) ?? undefined };
      const full = /no space left/i.test(stderr);
      throw new ClonaError(
        full ? 'diskFull' : 'guestFailed',
        `cannot copy ${name}: ${stderr.trim().slice(0, 200)}`,
        {
          hint: `is there room in ${folder}, and may the user of clona read the datafiles?`,
        },
      );
    },
  };
}

/** Device and inode, which a restore changes and the server's own writing does not. */
export async function identifyFile(guest: Guest, name: string): Promise<string | null> {
  if (guest.platform === 'windows') return null;
  const { exitCode, stdout } = await guest.run(['stat', '-c', '%d:%i', '--', name], {
    signal: AbortSignal.timeout(60_000),
  });
  return exitCode === 0 ? stdout.trim() : null;
}
