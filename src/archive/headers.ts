import { z } from 'zod';
import type { ArchiveHeader, BackupHeader, GradeRecord } from './format.ts';

const position = z.string().regex(/^(0|[1-9][0-9]{0,19})$/, 'is not a position');
const time = z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'is not a time');
const count = z.number().int().nonnegative();
const hash = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256');
/** Nothing that leads out of the folder of a backup. */
const fileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'is not a file name');

export const archiveHeaderSchema: z.ZodType<ArchiveHeader> = z.object({
  format: z.literal(1, 'is of a format this version does not know'),
  engine: z.literal('postgres'),
  database: z.string(),
  systemIdentifier: z.string().regex(/^\d+$/),
  segmentSizeBytes: z
    .number()
    .int()
    .min(2 ** 20),
  createdAt: time,
});

const frame = z.object({
  compressedOffset: count,
  compressedBytes: count,
  rawOffset: count,
  rawBytes: count,
  inside: z.object({ path: z.string(), fileOffset: count, fileBytes: count }).nullable(),
});

const archiveFile = z
  .object({
    name: fileName,
    tablespaceOid: count.nullable(),
    tablespacePath: z.string().nullable(),
    rawBytes: count,
    compressedBytes: count,
    sha256: hash,
    frames: z.array(frame).min(1),
  })
  .refine(isSeamless, 'its frames do not follow each other without gap and overlap');

function isSeamless(file: {
  rawBytes: number;
  compressedBytes: number;
  frames: z.infer<typeof frame>[];
}): boolean {
  let raw = 0;
  let compressed = 0;
  for (const frame of file.frames) {
    if (frame.rawOffset !== raw || frame.compressedOffset !== compressed) return false;
    raw += frame.rawBytes;
    compressed += frame.compressedBytes;
  }
  return raw === file.rawBytes && compressed === file.compressedBytes;
}

const requirements = z.object({
  settings: z.record(z.string(), z.number()),
  preloadLibraries: z.array(z.string()),
  extensions: z.array(z.object({ database: z.string(), name: z.string(), version: z.string() })),
  collations: z.array(
    z.object({
      database: z.string(),
      name: z.string(),
      provider: z.string(),
      version: z.string().nullable(),
    }),
  ),
  dataChecksums: z.boolean(),
  blockSizeBytes: count,
});

export const backupHeaderSchema: z.ZodType<BackupHeader> = z
  .object({
    format: z.literal(1, 'is of a format this version does not know'),
    label: fileName,
    kind: z.enum(['hot', 'managed', 'quiesced', 'cold']),
    systemIdentifier: z.string().regex(/^\d+$/),
    database: z.string(),
    serverVersion: count,
    timeline: z.number().int().positive(),
    start: position,
    consistentFrom: position,
    startedAt: time,
    finishedAt: time,
    ownLog: z.boolean(),
    archives: z.array(archiveFile).min(1),
    manifestSha256: hash,
    device: z.string(),
    rawBytes: count,
    compressedBytes: count,
    encryption: z.object({ keyId: z.string() }).nullable(),
    requirements,
    extraRedo: z.object({ fullPageImages: count, logBytes: count }).nullable(),
    pauseMs: z.number().nonnegative().nullable(),
    restorePoint: z.string().nullable(),
  })
  .refine((header) => BigInt(header.start) <= BigInt(header.consistentFrom), 'starts after its end');

export const gradesSchema: z.ZodType<{ grades: GradeRecord[] }> = z.object({
  grades: z.array(
    z.object({ grade: z.number().int().min(0).max(6), at: time, evidence: z.string(), detail: z.string() }),
  ),
});
