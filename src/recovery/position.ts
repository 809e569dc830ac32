import { ClonaError } from '../errors.ts';

declare const positionBrand: unique symbol;

/** A point in the log (SCN or LSN): an unsigned 64-bit number, a decimal string in JSON. */
export type Position = bigint & { readonly [positionBrand]: true };

const lowestTooLarge = 1n << 64n;
/** Up to this many digits a number is exact, and BigInt(number) is several times faster than BigInt(text). */
const exactDigits = 15;

/** The position that `text` spells (no sign, no leading zeros but "0" itself, below 2^64), else null. */
export function toPosition(text: string): Position | null {
  const length = text.length;
  if (length === 0 || length > 20) return null;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 48 || code > 57) return null;
  }
  if (length > 1 && text.charCodeAt(0) === 48) return null;
  const value = BigInt(length <= exactDigits ? Number(text) : text);
  return value < lowestTooLarge ? asPosition(value) : null;
}

/** Takes a decimal string; anything else, or 2^64 and more, is refused (A20). `where` begins the message. */
export function parsePosition(text: string, where: string): Position {
  const position = toPosition(text);
  if (position === null) {
    throw new ClonaError('questionInvalid', `${where}: "${text.slice(0, 40)}" is not a position`, {
      hint: 'a position is a decimal number from 0 to 18446744073709551615, as a string in JSON',
    });
  }
  return position;
}

/** For sums and literals whose range the caller knows; the brand stands for 0 ≤ value < 2^64. */
export function asPosition(value: bigint): Position {
  return value as Position;
}

/** `null` stands for "no bound". */
export function cutAt(position: Position, cut: Position | null): Position {
  return cut !== null && cut < position ? cut : position;
}

export function lower(a: Position, b: Position): Position {
  return a < b ? a : b;
}

export function upper(a: Position, b: Position): Position {
  return a > b ? a : b;
}

/** As people of that engine write it: an SCN is a decimal number, an LSN is two hexadecimal halves. */
export function showPosition(engine: 'oracle' | 'postgres', position: Position): string {
  if (engine === 'oracle') return position.toString();
  const high = (position >> 32n).toString(16).toUpperCase();
  const low = (position & 0xffffffffn).toString(16).toUpperCase();
  return `${high}/${low}`;
}
