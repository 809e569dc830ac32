import { ClonaError } from '../../../errors.ts';
import { parseUntil } from '../../../recovery/question.ts';
import type { RestoreUntil } from './context.ts';

/** Reads `--until` of a restore: what `clona plan` takes, and `restore-point:NAME`. */
export function parseRestoreUntil(text: string): RestoreUntil {
  const prefix = 'restore-point:';
  if (!text.startsWith(prefix)) return parseUntil(text);
  const name = text.slice(prefix.length);
  // MAXFNAMELEN of the server is 64, with the closing zero byte.
  if (name === '' || Buffer.byteLength(name) > 63) {
    throw new ClonaError(
      'questionInvalid',
      `--until: "${name.slice(0, 60)}" is not the name of a restore point`,
      {
        hint: 'the name that was given to pg_create_restore_point, up to 63 bytes',
      },
    );
  }
  return { kind: 'restorePoint', name };
}
