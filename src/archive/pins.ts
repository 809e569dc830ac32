import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ClonaError } from '../errors.ts';
import { encodeDocument, readDocument } from './document.ts';
import { syncFolder, writeDurably } from './durable-file.ts';
import { backupFolder, type Archive } from './repository.ts';

/** A backup that somebody wants kept, whatever the policy says (R10). It lies beside backup.json as pin.json. */
export interface Pin {
  format: 1;
  by: string;
  why: string;
  at: string;
}

const pinSchema: z.ZodType<Pin> = z.object({
  format: z.literal(1),
  by: z.string(),
  why: z.string(),
  at: z.string(),
});

const pinName = 'pin.json';

/** Undefined: the backup is not pinned. Throws `archiveDamaged` for a pin that does not read. */
export async function readPin(backupDir: string): Promise<Pin | undefined> {
  return readDocument(join(backupDir, pinName), pinSchema);
}

/** A pin that does not read still says that somebody wanted the backup kept: it counts, and `problem` says what is wrong. */
export async function judgePin(backupDir: string): Promise<{ pinned: boolean; problem: string | null }> {
  try {
    return { pinned: (await readPin(backupDir)) !== undefined, problem: null };
  } catch (error) {
    return { pinned: true, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Whatever state the backup is in. Throws `archiveMissing` where this archive has none of that label. */
export async function writePin(archive: Archive, label: string, pin: Omit<Pin, 'format'>): Promise<void> {
  if (pin.why.trim() === '')
    throw new ClonaError('usage', 'a pin needs its reason', { hint: 'give --why TEXT' });
  await writeDurably(join(backupFolder(archive, label), pinName), encodeDocument({ format: 1, ...pin }));
}

/** A backup that is not pinned, or not in this archive, is fine. */
export async function removePin(archive: Archive, label: string): Promise<void> {
  const folder = backupFolder(archive, label);
  await rm(join(folder, pinName), { force: true });
  if ((await stat(folder).catch(() => undefined)) !== undefined) await syncFolder(folder);
}
