import { ClonaError } from '../errors.ts';

declare const positionBrand: unique symbol;

/** A point in the log (SCN or LSN): an unsigned 64-bit number, a decimal string in JSON. */
export type Position = bigint & { readonly [positionBrand]: true };

const lowestTooLarge = 1n << 64n;

/** Takes a decimal string (no sign, no leading zeros but "0" itself); anything else, or 2^64 and more, is refused (A20). */
export function parsePosition(text: string, where: string): Position {
  if (!/^(0|[1-9][0-9]*)$/.test(text) || text.length > 20 || BigInt(text) >= lowestTooLarge) {
    throw new ClonaError('questionInvalid', `${where}: "${text.slice(0, 40)}" is not a position`, {
      hint: 'a position is a decimal number from 0 to 18446744073709551615, as a string in JSON',
    });
  }
  // The check above is what the brand stands for.
  return BigInt(text) as Position;
}
