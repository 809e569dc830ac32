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

export function startCatalogStream(): CatalogStream {
  const logs: ArchivedLog[] = [];
  const place = { list: 'logs', index: 0 };
  const splitter = startSplitter((values) => {
    for (const value of values) {
      logs.push(readArchivedLog(readRecord(value, place, ''), place));
      place.index += 1;
    }
  });
  return {
    push: splitter.push,
    end: () => {
      const root = readRecord(parseJson(splitter.end(), 'the catalog'), top, 'the catalog');
      // The splitter left an empty list behind; anything else is a second one under the same name.
      if (readList(root, 'logs').length > 0) throw new Error('two lists of logs');
      return readCatalog(root, logs);
    },
  };
}

const quote = 34;
const comma = 44;
const colon = 58;
const openBracket = 91;
const backslash = 92;
const closeBracket = 93;
const openBrace = 123;
const closeBrace = 125;

/** A record that goes on for longer is left to the reader of the whole. */
const longestCarried = 8 * 2 ** 20;

/**
 * Cuts the elements of the list `logs` of the root out of a JSON text and hands them on, some at a time. `end`
 * answers the rest of the text. Outside that list only nesting and strings are followed: what is malformed
 * stays so in the rest, and is refused when that is parsed.
 */
function startSplitter(onElements: (values: readonly unknown[]) => void): {
  push: (chunk: string) => void;
  end: () => string;
} {
  const root = startRoot();
  let rest = '';
  let inLogs = false;
  /** Something was cut off at a comma: there must be something behind it. */
  let cut = false;
  let carried = '';

  /** Hands on what lies before the last comma between elements; answers how much of the text is done. */
  const passLogs = (text: string): number => {
    const quick = parseUpToComma(text);
    const { end, closed } = quick ?? scanList(text);
    if (end < 0) return 0;
    const elements = text.slice(0, end);
    if (quick !== null || cut || !closed || elements.trim() !== '') {
      onElements(quick?.values ?? parseElements(elements));
    }
    inLogs = !closed;
    cut = !closed;
    return closed ? end : end + 1;
  };

  const push = (chunk: string): void => {
    let text = carried + chunk;
    carried = '';
    while (text !== '') {
      const wasInLogs = inLogs;
      const done = inLogs ? passLogs(text) : root.pass(text);
      if (!wasInLogs) {
        rest += text.slice(0, done);
        inLogs = root.opened();
      }
      text = text.slice(done);
      if (wasInLogs && inLogs) break;
    }
    if (text.length > longestCarried) throw new Error('a record too long to be carried');
    carried = text;
  };
  return { push, end: () => rest + carried };
}

function parseElements(text: string): unknown[] {
  // JSON.parse would take a list without elements, where there was one comma too many.
  if (text.trim() === '') throw new Error('nothing between two commas');
  return JSON.parse(`[${text}]`) as unknown[]; // brackets make a list
}

/**
 * The usual case without looking at every character: records hold no brackets, so the list does not end here, and
 * what parses as elements up to a comma are just these elements. null: look at every character.
 */
function parseUpToComma(text: string): { values: unknown[]; end: number; closed: false } | null {
  if (text.includes(']') || text.includes('[')) return null;
  const end = text.lastIndexOf('},') + 1;
  if (end === 0) return null;
  try {
    return { values: parseElements(text.slice(0, end)), end, closed: false };
  } catch {
    return null;
  }
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
  /** The last string at the root, while nothing but a colon followed it. */
  let key = '';
  let keyed: 'no' | 'name' | 'colon' = 'no';
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
        if (depth === 1 && inText) key += text[at];
      } else if (code === quote) {
        inText = true;
        if (depth === 1) {
          key = '';
          keyed = 'name';
        }
      } else if (code === openBrace || code === openBracket) {
        opens = depth === 1 && code === openBracket && keyed === 'colon' && key === 'logs';
        keyed = 'no';
        depth += 1;
      } else if (code === closeBrace || code === closeBracket) depth -= 1;
      else if (code === comma) keyed = 'no';
      else if (code === colon && keyed === 'name') keyed = 'colon';
    }
    if (opens && seen) throw new Error('two lists of logs');
    seen ||= opens;
    return at;
  };
  return { pass, opened: () => opens };
}
