import { ClonaError } from '../../../../errors.ts';
import { parseUntil } from '../../../../recovery/question.ts';
import { readLsn } from '../../lsn.ts';
import type { RestoreUntil } from '../context.ts';

const restorePointPrefix = 'restore-point:';

/**
 * Reads `--until` of a restore: what `clona plan` takes, `restore-point:NAME`, and positions as the server writes them
 * (position:0/3000060).
 */
export function parseRestoreUntil(text: string): RestoreUntil {
  if (text.startsWith(restorePointPrefix)) return readRestorePoint(text.slice(restorePointPrefix.length));
  try {
    return parseUntil(withDecimalPosition(text));
  } catch (error) {
    if (!(error instanceof ClonaError) || error.hint === undefined) throw error;
    const hint = error.hint.startsWith('position:') ? `restore-point:NAME, ${error.hint}` : error.hint;
    throw new ClonaError(error.kind, error.message, { hint, cause: error.cause, details: error.details });
  }
}

function readRestorePoint(name: string): RestoreUntil {
  // MAXFNAMELEN of the server is 64, with the closing zero byte.
  if (name !== '' && Buffer.byteLength(name) <= 63) return { kind: 'restorePoint', name };
  throw new ClonaError(
    'questionInvalid',
    `--until: "${name.slice(0, 60)}" is not the name of a restore point`,
    { hint: 'the name that was given to pg_create_restore_point, up to 63 bytes' },
  );
}

function withDecimalPosition(text: string): string {
  const [, before, lsn] = /^(position:|incarnation:\d+@)(.*)$/.exec(text) ?? [];
  const position = lsn === undefined ? undefined : readLsn(lsn);
  return position === undefined ? text : `${before}${position}`;
}
