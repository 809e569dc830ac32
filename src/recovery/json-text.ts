import { ClonaError } from '../errors.ts';

/**
 * JSON.parse whose refusal (`catalogInvalid`) says line and column, counted from 1; V8 often says neither.
 * A byte order mark is passed over. `what` begins the message.
 */
export function parseJson(text: string, what: string): unknown {
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  try {
    return JSON.parse(body);
  } catch (cause) {
    const lines = body.slice(0, findFault(body)).split('\n');
    const column = lines.at(-1)!.length + 1; // split answers at least one
    throw new ClonaError('catalogInvalid', `${what} is not JSON at line ${lines.length}, column ${column}`, {
      cause,
      hint: 'was the file cut off, or is it another file?',
      details: { line: lines.length, column },
    });
  }
}

/** A reader of JSON that keeps nothing: `at` is where it is, or where it stumbled. */
interface Cursor {
  text: string;
  at: number;
}

/** Offset of the first character that cannot stand where it stands; the length of a text that just ends. */
export function findFault(text: string): number {
  const cursor = { text, at: 0 };
  const closers: ('}' | ']')[] = [];
  for (;;) {
    skip(cursor, isSpace);
    const opener = text[cursor.at];
    if (opener === '{' || opener === '[') {
      const closer = opener === '{' ? '}' : ']';
      cursor.at += 1;
      skip(cursor, isSpace);
      if (text[cursor.at] !== closer) {
        closers.push(closer);
        if (closer === '}' && !passKey(cursor)) return cursor.at;
        continue;
      }
      cursor.at += 1;
    } else if (!passScalar(cursor)) return cursor.at;
    if (!passEnds(cursor, closers)) return cursor.at;
  }
}

/** Behind a value: closes what ends here, up to a comma that announces the next one. */
function passEnds(cursor: Cursor, closers: ('}' | ']')[]): boolean {
  for (;;) {
    skip(cursor, isSpace);
    const closer = closers.at(-1);
    const found = cursor.text[cursor.at];
    if (closer === undefined || (found !== closer && found !== ',')) return false;
    cursor.at += 1;
    if (found === ',') return closer === ']' || passKey(cursor);
    closers.pop();
  }
}

function passKey(cursor: Cursor): boolean {
  skip(cursor, isSpace);
  if (!passText(cursor)) return false;
  skip(cursor, isSpace);
  return passAny(cursor, ':');
}

function passScalar(cursor: Cursor): boolean {
  const first = cursor.text[cursor.at];
  if (first === '"') return passText(cursor);
  const word = ['true', 'false', 'null'].find((one) => one[0] === first);
  return word === undefined ? passNumber(cursor) : word.split('').every((letter) => passAny(cursor, letter));
}

function passText(cursor: Cursor): boolean {
  if (!passAny(cursor, '"')) return false;
  for (;;) {
    skip(cursor, isPlain);
    if (!passAny(cursor, '\\')) return passAny(cursor, '"');
    if (passAny(cursor, 'u')) {
      for (let digit = 0; digit < 4; digit += 1) if (!passAny(cursor, '0123456789abcdefABCDEF')) return false;
    } else if (!passAny(cursor, '"\\/bfnrt')) return false;
  }
}

function passNumber(cursor: Cursor): boolean {
  passAny(cursor, '-');
  if (!passAny(cursor, '0') && !passDigits(cursor)) return false;
  if (passAny(cursor, '.') && !passDigits(cursor)) return false;
  if (!passAny(cursor, 'eE')) return true;
  passAny(cursor, '+-');
  return passDigits(cursor);
}

function passDigits(cursor: Cursor): boolean {
  const before = cursor.at;
  skip(cursor, isDigit);
  return cursor.at > before;
}

/** Passes one character if it is one of those. */
function passAny(cursor: Cursor, characters: string): boolean {
  const found = cursor.text[cursor.at];
  if (found === undefined || !characters.includes(found)) return false;
  cursor.at += 1;
  return true;
}

function skip(cursor: Cursor, belongs: (code: number) => boolean): void {
  // Behind the end charCodeAt answers NaN, which belongs nowhere.
  while (belongs(cursor.text.charCodeAt(cursor.at))) cursor.at += 1;
}

const isSpace = (code: number): boolean => code === 32 || code === 9 || code === 10 || code === 13;
const isDigit = (code: number): boolean => code >= 48 && code <= 57;
/** Neither a control character, nor a quote, nor a backslash. */
const isPlain = (code: number): boolean => code >= 32 && code !== 34 && code !== 92;
