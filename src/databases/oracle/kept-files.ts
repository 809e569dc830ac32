import { ClonaError } from '../../errors.ts';

/** What the site keeps beside RMAN's pieces, as `database.oracle.keep` says it. Paths are those of the machines. */
export interface KeepSettings {
  /** Where it is kept: seen by production and, read-only, by the clone. */
  folder: string;
  /** Production's password file. */
  passwordFile?: string | undefined;
  /** Folder of production's wallet (TCPS, external passwords). */
  wallet?: string | undefined;
  /** Folder of production's TDE keystore, and where its copies lie: never beside the backups that it opens. */
  keystore?: { from: string; to: string } | undefined;
}

export type KeptRole = 'parameters' | 'passwordFile' | 'wallet' | 'keystore';

export interface KeptFile {
  role: KeptRole;
  /** File name alone. */
  name: string;
  /** Where its copy lies. */
  path: string;
  bytes: number;
  sha256: string;
}

/** One keeping: written as kept.json in its folder after everything else, so that what lies there is whole. */
export interface KeptManifest {
  label: string;
  /** When it was taken. */
  at: string;
  files: KeptFile[];
}

export const manifestName = 'kept.json';

export function parseManifest(text: string, path: string): KeptManifest {
  try {
    const { label, at, files } = JSON.parse(text) as KeptManifest;
    const isWhole =
      typeof label === 'string' &&
      typeof at === 'string' &&
      files.every(
        ({ role, name, path: copy, bytes, sha256 }) =>
          /^(?:parameters|passwordFile|wallet|keystore)$/.test(role) &&
          isFileName(name) &&
          typeof copy === 'string' &&
          Number.isSafeInteger(bytes) &&
          /^[0-9a-f]{64}$/.test(sha256),
      );
    if (isWhole) return { label, at, files };
  } catch {
    // said below
  }
  throw new ClonaError('archiveDamaged', `${path} is no list of kept files that clona wrote`, {
    hint: 'take another backup: it keeps them anew',
  });
}

/** A name from a file that somebody may have changed must not lead out of its folder. */
export function isFileName(name: unknown): name is string {
  return typeof name === 'string' && /^[\w.$#-]+$/.test(name) && !/^\.+$/.test(name);
}

/** Of that very backup, else the newest that was there when it ended, else the oldest. undefined: nothing is kept. */
export function chooseKept(
  manifests: readonly KeptManifest[],
  backup: { label: string; finishedAt: string | null },
): KeptManifest | undefined {
  const byTime = [...manifests].sort((a, b) => (a.at < b.at ? -1 : 1));
  const { label, finishedAt } = backup;
  return (
    // RMAN's tag; a second backup of that tag has its time behind it.
    byTime.findLast((one) => one.label === label || label.startsWith(`${one.label}@`)) ??
    byTime.findLast(({ at }) => finishedAt === null || at <= finishedAt) ??
    byTime[0]
  );
}

/**
 * The key must not lie with what it opens: whoever takes the archive away would have both. Throws `siteInvalid`. `places`: the
 * archive, its mirror, and what else holds backups.
 */
export function refuseKeyBesideBackups({ folder, keystore }: KeepSettings, places: readonly string[]): void {
  if (keystore === undefined) return;
  const inside = [...places, folder].find((place) => isInside(keystore.to, place));
  if (inside === undefined && !isInside(folder, keystore.to)) return;
  throw new ClonaError(
    'siteInvalid',
    `database.oracle.keep.keystoreTo is ${keystore.to}, with the backups that the keystore opens`,
    {
      hint: 'name a folder outside of the archive, of its mirror and of the backups, better on another device: who finds an encrypted backup must not find its key beside it',
    },
  );
}

function isInside(path: string, folder: string): boolean {
  const parts = (text: string): string[] => {
    const list: string[] = [];
    for (const part of text.replaceAll('\\', '/').split('/')) {
      if (part === '..') list.pop();
      else if (part !== '' && part !== '.') list.push(part);
    }
    return list;
  };
  const isWindows = /^[A-Za-z]:/.test(folder);
  const [inner, outer] = [parts(path), parts(folder)].map((list) =>
    isWindows ? list.map((part) => part.toLowerCase()) : list,
  ) as [string[], string[]];
  return outer.every((part, index) => inner[index] === part);
}
