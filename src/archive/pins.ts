import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ClonaError } from '../errors.ts';
import { encodeDocument, readDocument } from './document.ts';
import { syncFolder, writeDurably } from './durable-file.ts';
import { backupFolder, readBackupHeader, type Archive } from './repository.ts';

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

/** Undefined: the backup is not pinned. */
export async function readPin(backupDir: string): Promise<Pin | undefined> {
  return readDocument(join(backupDir, pinName), pinSchema);
}

/** Throws `archiveMissing` where there is no such backup. */
export async function writePin(archive: Archive, label: string, pin: Omit<Pin, 'format'>): Promise<void> {
  await readBackupHeader(archive, label);
  if (pin.why.trim() === '')
    throw new ClonaError('usage', 'a pin needs its reason', { hint: 'give --why TEXT' });
  await writeDurably(join(backupFolder(archive, label), pinName), encodeDocument({ format: 1, ...pin }));
}

/** A backup that is not pinned is fine. */
export async function removePin(archive: Archive, label: string): Promise<void> {
  await readBackupHeader(archive, label);
  await rm(join(backupFolder(archive, label), pinName), { force: true });
  await syncFolder(backupFolder(archive, label));
}
