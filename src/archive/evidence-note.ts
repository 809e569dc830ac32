import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { encodeDocument, readDocument } from './document.ts';
import { archiveError, writeDurably } from './durable-file.ts';
import type { EvidenceNote } from './format.ts';
import { largestDocumentBytes, readRegular } from './regular-file.ts';

const noteName = 'evidence.json';

const noteSchema: z.ZodType<EvidenceNote> = z.object({
  format: z.literal(1, 'is of a format this version does not know'),
  kind: z.literal('backup.taken'),
  time: z.string(),
  by: z.string(),
  host: z.string(),
  label: z.string(),
  headerSha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * Says beside a backup who took it, where and when: for backups that no site's ledger knows (docs/evidence.md). What was
 * taken stands in backup.json, whose text is hashed here.
 */
export function makeEvidenceNote(label: string, headerText: string, taken: Taken): EvidenceNote {
  const { by, at } = taken;
  const headerSha256 = sha256(headerText);
  return {
    format: 1,
    kind: 'backup.taken',
    time: at.toISOString(),
    by,
    host: hostname(),
    label,
    headerSha256,
  };
}

export interface Taken {
  /** Who took it. */
  by: string;
  at: Date;
}

/** Into the folder of a backup that is not published yet: the two appear together. */
export async function writeEvidenceNote(folder: string, note: EvidenceNote): Promise<void> {
  await writeDurably(join(folder, noteName), encodeDocument(note));
}

/** The note and whether backup.json is still the one it speaks of; undefined where there is none. */
export async function readEvidenceNote(
  folder: string,
): Promise<{ note: EvidenceNote; isOfThisBackup: boolean } | undefined> {
  const note = await readDocument(join(folder, noteName), noteSchema);
  if (note === undefined) return undefined;
  const path = join(folder, 'backup.json');
  const header = await readRegular(path, { maxBytes: largestDocumentBytes }).catch((error: unknown) => {
    throw archiveError(error, path);
  });
  return { note, isOfThisBackup: note.headerSha256 === sha256(header) };
}

function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}
