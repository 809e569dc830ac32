import type { ArchivedLog, Catalog } from './catalog.ts';
import { readList, readRecord, top } from './fields.ts';
import { parseJson } from './json-text.ts';
import { readArchivedLog, readCatalog } from './parse-catalog.ts';

/**
 * Reads the text of a catalog in pieces, so that neither the text nor the raw records of a million logs are
 * ever held as a whole. Takes exactly what `parseCatalog` takes and gives the same; but what it throws says
 * only that something is wrong: `parseCatalog` of the whole text names the place.
 */
export interface CatalogStream {
  push: (chunk: string) => void;
  end: () => Catalog;
}

/** A record that goes on for longer than `longestCarried` characters is left to the reader of the whole. */
export function startCatalogStream(longestCarried = 8 * 2 ** 20): CatalogStream {
  const logs: ArchivedLog[] = [];
  const splitter = startSplitter(longestCarried, (values) => {
    for (const value of values) logs.push(readArchivedLog(readRecord(value, top, ''), top));
  });
  return {
    push: splitter.push,
    end: () => {
      const root = readRecord(parseJson(splitter.end(), ''), top, '');
      readList(root, 'logs'); // the splitter left an empty one behind
      return readCatalog(root, logs);
    },
  };
}

/** parseCatalog of the whole text says what is wrong, or takes it. */
function giveUp(): never {
  throw new Error('not to be read in pieces');
}

const quote = 34;
const comma = 44;
const openBracket = 91;
const backslash = 92;
const closeBracket = 93;
const openBrace = 123;
const closeBrace = 125;

/**
 * Cuts the elements of the list `logs` of the root out of a JSON text and hands them on, some at a time. `end`
 * answers the rest of the text. Outside that list only nesting and strings are followed: what is malformed
 * stays so in the rest, and is refused when that is parsed.
 */
function startSplitter(
  longestCarried: number,
  onElements: (values: readonly unknown[]) => void,
): { push: (chunk: string) => void; end: () => string } {
  const root = startRoot();
  let rest = '';
  let inLogs = false;
  /** Something was cut off at a comma: there must be something behind it. */
  let cut = false;
  let carried = '';

  /** Hands on what lies before the last comma between elements; answers how much of the text is done. */
  const passLogs = (text: string): number => {
    const { values, end, closed } = parseUpToComma(text) ?? parseList(text);
    if (end < 0) return 0;
    // JSON.parse takes a list without elements, where there may be one comma too many.
    if (values.length === 0 && (cut || !closed)) giveUp();
    onElements(values);
    inLogs = !closed;
    cut = !closed;
    return closed ? end : end + 1;
  };

  const push = (chunk: string): void => {
    let text = carried + chunk;
    while (text !== '') {
      const wasInLogs = inLogs;
      const done = inLogs ? passLogs(text) : root.pass(text);
      if (!wasInLogs) {
        rest += text.slice(0, done);
        inLogs = root.opened();
      }
      text = text.slice(done);
      if (inLogs && done === 0) break; // what is left belongs to an element that goes on
    }
    if (text.length > longestCarried) giveUp();
    carried = text;
  };
  return { push, end: () => rest + carried };
}

/** Elements of a list up to an offset: a comma behind one, the bracket that closes the list, or -1 for neither. */
interface Elements {
  values: unknown[];
  end: number;
  closed: boolean;
}

function parseElements(text: string): unknown[] {
  return JSON.parse(`[${text}]`) as unknown[]; // brackets make a list
}

/**
 * The usual case without looking at every character: what parses as elements up to a comma are just these elements.
 * null: look at every character.
 */
function parseUpToComma(text: string): Elements | null {
  const end = text.lastIndexOf('},') + 1;
  if (end === 0) return null;
  try {
    return { values: parseElements(text.slice(0, end)), end, closed: false };
  } catch {
    return null;
  }
}

function parseList(text: string): Elements {
  const { end, closed } = scanList(text);
  return { values: end < 0 ? [] : parseElements(text.slice(0, end)), end, closed };
}

/** From the beginning of an element: the last comma between elements (or -1), or the end of the list. */
function scanList(text: string): { end: number; closed: boolean } {
  let depth = 0;
  let inText = false;
  let escaped = false;
  let lastComma = -1;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inText) {
      if (escaped) escaped = false;
      else if (code === backslash) escaped = true;
      else if (code === quote) inText = false;
    } else if (code === quote) inText = true;
    else if (code === comma) {
      if (depth === 0) lastComma = at;
    } else if (code === openBrace || code === openBracket) depth += 1;
    else if (code === closeBrace || code === closeBracket) {
      depth -= 1;
      if (depth < 0) return { end: at, closed: true };
    }
  }
  return { end: lastComma, closed: false };
}

/** Follows the text outside the list of logs; `pass` stops behind the bracket that opens it. */
function startRoot(): { pass: (text: string) => number; opened: () => boolean } {
  let depth = 0;
  let inText = false;
  let escaped = false;
  /** The last string. Before a bracket directly inside the root that is the name of what begins there. */
  let key = '';
  let opens = false;
  let seen = false;
  const pass = (text: string): number => {
    if (opens) depth -= 1; // the list is closed by what comes first
    let at = opens ? 1 : 0;
    opens = false;
    for (; at < text.length && !opens; at += 1) {
      const code = text.charCodeAt(at);
      if (inText) {
        if (escaped) escaped = false;
        else if (code === backslash) escaped = true;
        else if (code === quote) inText = false;
        if (inText) key += text[at];
      } else if (code === quote) {
        inText = true;
        key = '';
      } else if (code === openBrace || code === openBracket) {
        // A name may be spelt with escapes: that is left to the reader of the whole.
        if (depth === 1 && key.includes('\\')) giveUp();
        opens = depth === 1 && code === openBracket && key === 'logs';
        depth += 1;
      } else if (code === closeBrace || code === closeBracket) depth -= 1;
    }
    if (opens && seen) giveUp();
    seen ||= opens;
    return at;
  };
  return { pass, opened: () => opens };
}
