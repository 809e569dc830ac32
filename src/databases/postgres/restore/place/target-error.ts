import { errorCode } from '../../../../archive/durable-file.ts';
import { ClonaError } from '../../../../errors.ts';

/** A failure of the file system where a restore writes: a full disk as `diskFull`, another one as `targetFailed` (exit 6). */
export function targetError(thrown: unknown, path: string): ClonaError {
  if (thrown instanceof ClonaError) return thrown;
  const code = errorCode(thrown);
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ClonaError('diskFull', `no space left for ${path}`, {
      cause: thrown,
      hint: 'free space on that disk and run the same command again; what is there and right is used',
    });
  }
  if (code === undefined) return new ClonaError('internal', said, { cause: thrown });
  return new ClonaError('targetFailed', `${path} cannot be read or written: ${said}`, {
    cause: thrown,
    hint: 'is the disk of the target whole and mounted for writing, and may this user write there?',
  });
}
