import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { encodeDocument, readDocument } from '../../../archive/document.ts';
import { writeDurably } from '../../../archive/durable-file.ts';
import { isWriterHere, type Writer } from '../../../archive/writer.ts';

/**
 * Says in the archive that a server was stopped to be copied. It is there before the server stops and goes when it runs
 * again: whoever finds one whose process is gone has found a database that somebody has to start.
 */
export interface StoppedNote {
  format: 1;
  dataDir: string;
  label: string;
  at: string;
  by: Writer;
}

/** Hidden, as everything in an archive that is not part of it (format.ts). */
const noteName = '.stopped-for-backup.json';

const noteSchema: z.ZodType<StoppedNote> = z.object({
  format: z.literal(1),
  dataDir: z.string(),
  label: z.string(),
  at: z.string(),
  by: z.object({ host: z.string(), pid: z.number().int(), born: z.string() }),
});

export async function writeStoppedNote(archiveDir: string, note: StoppedNote): Promise<void> {
  await writeDurably(join(archiveDir, noteName), encodeDocument(note));
}

export async function removeStoppedNote(archiveDir: string): Promise<void> {
  await rm(join(archiveDir, noteName), { force: true });
}

/** What a cold backup left or has under way; `isWorking`: its process lives, or is on another host and cannot be asked. */
export async function readStoppedNote(
  archiveDir: string,
): Promise<{ note: StoppedNote; isWorking: boolean } | undefined> {
  const note = await readDocument(join(archiveDir, noteName), noteSchema);
  if (note === undefined) return undefined;
  return { note, isWorking: note.by.host !== hostname() || (await isWriterHere(note.by)) };
}
