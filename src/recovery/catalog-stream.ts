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
  const splitter = startSplitter((elements) => {
    // JSON.parse would take a list without elements, where there was one comma too many.
    if (elements.trim() === '') throw new Error('nothing between two commas');
    for (const value of JSON.parse(`[${elements}]`) as unknown[]) {
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

/**
 * Cuts the elements of the list `logs` of the root out of a JSON text and hands them on, some at a time, as text
 * between commas. `end` answers the rest of the text. Only nesting and strings are followed here: what is
 * malformed stays so in one of the pieces, or in the rest, and is refused when that is parsed.
 */
function startSplitter(onElements: (text: string) => void): {
  push: (chunk: string) => void;
  end: () => string;
} {
  let rest = '';
  let state: Nesting = { depth: 0, inText: false, escaped: false };
  /** The last string at the root, while nothing but a colon followed it. */
  let key = '';
  let keyed: 'no' | 'name' | 'colon' = 'no';
  let inLogs = false;
  let seen = false;
  let cut = false;
  let carried = '';

  /** Follows the root until the list of logs opens; answers where, or the length of the chunk. */
  const passRoot = (chunk: string, from: number): number => {
    let { depth, inText, escaped } = state;
    let at = from;
    for (; at < chunk.length; at += 1) {
      const code = chunk.charCodeAt(at);
      if (inText) {
        if (escaped) escaped = false;
        else if (code === backslash) escaped = true;
        else if (code === quote) inText = false;
        if (depth === 1 && inText) key += chunk[at];
      } else if (code === quote) {
        inText = true;
        if (depth === 1) {
          key = '';
          keyed = 'name';
        }
      } else if (code === openBrace || code === openBracket) {
        inLogs = depth === 1 && code === openBracket && keyed === 'colon' && key === 'logs';
        keyed = 'no';
        depth += 1;
        if (inLogs) break;
      } else if (code === closeBrace || code === closeBracket) depth -= 1;
      else if (code === comma) keyed = 'no';
      else if (code === colon && keyed === 'name') keyed = 'colon';
    }
    state = { depth, inText, escaped };
    if (inLogs && seen) throw new Error('two lists of logs');
    seen ||= inLogs;
    return inLogs ? at + 1 : at;
  };

  /** Hands on what lies before the last comma between elements; answers where the list closes, or the length. */
  const passLogs = (chunk: string, from: number): number => {
    const { at, lastComma, closed, ...after } = scanList(chunk, from, state);
    state = after;
    if (closed) {
      const last = carried + chunk.slice(from, at - 1);
      rest += chunk[at - 1]; // whatever closed it
      carried = '';
      inLogs = false;
      // A comma was the last thing cut off: there must be something behind it.
      if (cut || last.trim() !== '') onElements(last);
    } else if (lastComma < 0) carried += chunk.slice(from);
    else {
      onElements(carried + chunk.slice(from, lastComma));
      carried = chunk.slice(lastComma + 1);
      cut = true;
    }
    return at;
  };

  const push = (chunk: string): void => {
    let at = 0;
    while (at < chunk.length) {
      if (inLogs) at = passLogs(chunk, at);
      else {
        const end = passRoot(chunk, at);
        rest += chunk.slice(at, end);
        at = end;
      }
    }
  };
  return { push, end: () => rest + carried };
}

interface Nesting {
  depth: number;
  inText: boolean;
  escaped: boolean;
}

/** The inner loop over nearly the whole file: local variables only. The list lies at depth 2. */
function scanList(
  chunk: string,
  from: number,
  before: Nesting,
): Nesting & { at: number; lastComma: number; closed: boolean } {
  let { depth, inText, escaped } = before;
  let lastComma = -1;
  let at = from;
  for (; at < chunk.length; at += 1) {
    const code = chunk.charCodeAt(at);
    if (inText) {
      if (escaped) escaped = false;
      else if (code === backslash) escaped = true;
      else if (code === quote) inText = false;
    } else if (code === quote) inText = true;
    else if (code === comma) {
      if (depth === 2) lastComma = at;
    } else if (code === openBrace || code === openBracket) depth += 1;
    else if (code === closeBrace || code === closeBracket) {
      depth -= 1;
      if (depth === 1) return { depth, inText, escaped, at: at + 1, lastComma, closed: true };
    }
  }
  return { depth, inText, escaped, at, lastComma, closed: false };
}
