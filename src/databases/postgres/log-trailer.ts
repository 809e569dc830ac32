import { z } from 'zod';
import type { LogTrailer } from '../../archive/format.ts';
import { ClonaError } from '../../errors.ts';

const time = z.iso.datetime({ offset: true });
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256');

const logTrailer: z.ZodType<LogTrailer> = z.object({
  format: z.literal(1),
  name: z.string(),
  systemIdentifier: z.string(),
  rawBytes: z.number().int().positive(),
  sha256,
  frameSha256: sha256,
  firstTime: time.nullable(),
  lastTime: time.nullable(),
  archivedAt: time,
});

/** Throws `archiveDamaged` with the first field that cannot be. */
export function parseLogTrailer(text: string): LogTrailer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ClonaError('archiveDamaged', 'its trailer is not JSON', { cause: error });
  }
  const read = logTrailer.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new ClonaError(
    'archiveDamaged',
    `its trailer: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
  );
}
