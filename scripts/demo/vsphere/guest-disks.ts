import { execFile } from 'node:child_process';
import { chown, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { nobody } from '../../../src/databases/postgres/server-cluster.ts';
import { fingerprint } from '../../../src/guest/open.ts';
import { generateKeys } from '../../../src/machines/local/keys.ts';

const execute = promisify(execFile);
const disks = ['system', 'data'] as const;

/** What is kept of the machines below `root`, a folder each: disks, snapshots, and the host key that lies on the disk. */
export interface GuestDisks {
  place: (name: string, ...rest: string[]) => string;
  createEmpty: (name: string) => Promise<void>;
  /** With the host key, as a copied disk has it. */
  copyFrom: (source: { name: string; snapshot?: string }, name: string) => Promise<void>;
  snapshot: (name: string, snapshot: string) => Promise<void>;
  revert: (name: string, snapshot: string) => Promise<void>;
  removeSnapshot: (name: string, snapshot: string) => Promise<void>;
  remove: (name: string) => Promise<void>;
  readHostKey: (name: string) => Promise<string>;
  /** As ssh-keygen -l prints it. */
  readFingerprint: (name: string) => Promise<string>;
  renewHostKey: (name: string) => Promise<void>;
}

export function openGuestDisks(root: string): GuestDisks {
  const place = (name: string, ...rest: string[]): string => join(root, name, ...rest);
  const make = async (name: string): Promise<void> =>
    void (await mkdir(place(name, 'snapshots'), { recursive: true, mode: 0o711 }));
  const renewHostKey = async (name: string): Promise<void> =>
    writeFile(place(name, 'host-key'), generateKeys(name).private, { mode: 0o600 });
  return {
    place,
    renewHostKey,
    async createEmpty(name) {
      await make(name);
      for (const disk of disks) {
        await mkdir(place(name, disk), { mode: 0o755 });
        await chown(place(name, disk), nobody.uid, nobody.gid);
      }
      await renewHostKey(name);
    },
    async copyFrom({ name: source, snapshot }, name) {
      await make(name);
      const from = snapshot === undefined ? place(source) : place(source, 'snapshots', snapshot);
      await copyDisks(from, place(name));
      await copyFile(place(source, 'host-key'), place(name, 'host-key'));
    },
    async snapshot(name, snapshot) {
      await mkdir(place(name, 'snapshots', snapshot), { recursive: true });
      await copyDisks(place(name), place(name, 'snapshots', snapshot));
    },
    revert: async (name, snapshot) => copyDisks(place(name, 'snapshots', snapshot), place(name)),
    removeSnapshot: async (name, snapshot) =>
      rm(place(name, 'snapshots', snapshot), { recursive: true, force: true }),
    remove: async (name) => rm(place(name), { recursive: true, force: true }),
    readHostKey: async (name) => readFile(place(name, 'host-key'), 'utf8'),
    async readFingerprint(name) {
      const parsed = ssh2.utils.parseKey(await readFile(place(name, 'host-key'), 'utf8'));
      if (parsed instanceof Error) throw parsed;
      return fingerprint(parsed.getPublicSSH());
    },
  };
}

async function copyDisks(from: string, to: string): Promise<void> {
  for (const disk of disks) {
    await rm(join(to, disk), { recursive: true, force: true });
    await execute('cp', ['-a', '--reflink=auto', join(from, disk), join(to, disk)]);
  }
}
