import { ClonaError } from '../../errors.ts';
import { asPosition, toPosition, type Position } from '../../recovery/position.ts';

/** How a number and a position are read from the text of a row. `where` names view and column. */

export function readScn(text: string | null, where: string): Position {
  const position = text === null ? null : toPosition(text);
  if (position === null) throw unexpected(text, where);
  return position;
}

/** Null, too, for what Oracle writes where there is no SCN. */
export function readScnOrNull(text: string | null): Position | null {
  return text === null ? null : toPosition(text);
}

export function readNumber(text: string | null, where: string): number {
  const number = text === null ? Number.NaN : Number(text);
  if (!Number.isSafeInteger(number)) throw unexpected(text, where);
  return number;
}

export function readCount(text: string | null): number {
  return text === null ? 0 : Number(text);
}

function unexpected(text: string | null, where: string): ClonaError {
  return new ClonaError(
    'databaseFailed',
    `${where} is ${text === null ? 'null' : `"${text.slice(0, 40)}"`}`,
    {
      hint: 'this is not what the control file of a running database shows; is it the right server?',
    },
  );
}

/**
 * NEXT_CHANGE# of a log that nobody closed, as servers with 48-bit SCNs, with 63-bit ones (9295429630892703743, since 12.2) and
 * with all bits set write it. The log that OPEN RESETLOGS
 * archives keeps it for ever.
 */
const openEnds: ReadonlySet<bigint> = new Set([
  (1n << 48n) - 1n,
  (1n << 64n) - 1n,
  (1n << 63n) - 1n,
  0x80ff_ffff_ffff_ffffn,
]);

/** Where a log ends; null: it was not closed. */
export function readEnd(text: string | null): Position | null {
  const position = readScnOrNull(text);
  return position === null || position === 0n || openEnds.has(position) ? null : position;
}

export function after(position: Position): Position {
  return asPosition(position + 1n);
}
