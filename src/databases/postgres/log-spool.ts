import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { locateLogFile } from '../../archive/log-file.ts';
import type { Connection } from './connect.ts';

/** What waits in the spool for archive and mirror. */
export interface SpoolFacts {
  folder: string;
  files: number;
  bytes: number;
  /** Since when the oldest file waits; null: the spool is empty. */
  oldestAt: string | null;
  /** On the spool's disk. */
  freeBytes: number;
}

/** Where the server puts its log by contrib's basic_archive; null where it does not. */
export async function readSpoolFolder(session: Connection): Promise<string | null> {
  const [row] = await session.query<{ spool: string | null }>(
    "SELECT nullif(current_setting('basic_archive.archive_directory', true), '') AS spool",
  );
  return row?.spool ?? null;
}

/** Undefined where there is no such folder on this host. */
export async function measureSpool(folder: string): Promise<SpoolFacts | undefined> {
  const [inside, disk] = await Promise.all([
    readdir(folder).catch(() => undefined),
    statfs(folder).catch(() => undefined),
  ]);
  if (inside === undefined || disk === undefined) return undefined;
  const facts = { folder, files: 0, bytes: 0, oldestAt: null as string | null };
  for (const name of inside.filter((name) => locateLogFile('', name) !== undefined)) {
    // An archiver may take it away just now.
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (found === undefined) continue;
    facts.files += 1;
    facts.bytes += found.size;
    const at = found.mtime.toISOString();
    if (facts.oldestAt === null || at < facts.oldestAt) facts.oldestAt = at;
  }
  return { ...facts, freeBytes: disk.bavail * disk.bsize };
}

/** A backlog of this size is more than a busy server makes while a backup or a short fault of the archive lasts. */
export const spoolWarningBytes = 2 ** 30;
/** An archiver that runs leaves nothing so long. */
export const spoolWarningAgeMs = 15 * 60 * 1000;

export type SpoolVerdict = 'flows' | 'late' | 'filling';

/**
 * `filling`: the spool's disk has less room left than already waits, and when it is full the server's own log area fills next.
 * `late`: more or older than an archiver at work leaves. Nothing bounds the spool but its disk: to drop a file would be a gap.
 */
export function judgeSpool({ bytes, oldestAt, freeBytes }: SpoolFacts, now: Date): SpoolVerdict {
  const isLarge = bytes > spoolWarningBytes;
  if (isLarge && freeBytes < bytes) return 'filling';
  const ageMs = oldestAt === null ? 0 : now.getTime() - Date.parse(oldestAt);
  return isLarge || ageMs > spoolWarningAgeMs ? 'late' : 'flows';
}
