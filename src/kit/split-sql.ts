import { ClonaError } from '../errors.ts';

export interface SqlStatement {
  /** Without its final semicolon and without the comments before it. */
  text: string;
  /** Line of its first word, from 1. */
  line: number;
  /** Comment lines between the statement before and this one, without their `--`. */
  comments: { text: string; line: number }[];
}

export interface SplitSql {
  statements: SqlStatement[];
  /** Comments after the last statement. */
  rest: { text: string; line: number }[];
}

/**
 * Splits a file into statements as psql does (psqlscan.l): a semicolon ends one unless it stands in a quote, a
 * dollar quote, a comment, parentheses or the BEGIN ATOMIC … END body of a function. Throws `usage` with the
 * line where a quote or comment is never closed.
 */
export function splitSql(text: string): SplitSql {
  const scan: Scan = {
    text,
    at: 0,
    line: 1,
    statements: [],
    comments: [],
    start: null,
    depth: 0,
    words: [],
    begins: 0,
  };
  if (text.startsWith('\uFEFF')) scan.at = 1;
  while (scan.at < text.length) readToken(scan);
  endStatement(scan);
  return { statements: scan.statements, rest: scan.comments };
}

interface Scan {
  text: string;
  at: number;
  line: number;
  statements: SqlStatement[];
  comments: { text: string; line: number }[];
  start: { at: number; line: number } | null;
  /** Open parentheses. */
  depth: number;
  /** The first words of the statement, to know CREATE FUNCTION. */
  words: string[];
  /** Open BEGIN ATOMIC and CASE blocks. */
  begins: number;
}

const wordPattern = /[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_$\u0080-\uFFFF]*/y;
const dollarPattern = /\$(?:[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_\u0080-\uFFFF]*)?\$/y;

function readToken(scan: Scan): void {
  const { text, at } = scan;
  const char = text[at]!; // at < text.length
  if (/\s/.test(char)) return advance(scan, at + 1);
  if (text.startsWith('--', at)) return readLineComment(scan);
  if (text.startsWith('/*', at)) return advance(scan, endOfBlockComment(scan));
  if (char === ';' && scan.depth === 0 && scan.begins === 0) {
    endStatement(scan);
    return advance(scan, at + 1);
  }
  scan.start ??= { at, line: scan.line };
  if (char === "'" || char === '"') return advance(scan, endOfQuote(scan, at, false));
  if ((char === 'e' || char === 'E') && text[at + 1] === "'")
    return advance(scan, endOfQuote(scan, at + 1, true));
  if (char === '$') {
    const tag = matchAt(dollarPattern, text, at);
    if (tag !== undefined) return advance(scan, endOfDollarQuote(scan, tag));
  }
  const word = matchAt(wordPattern, text, at);
  if (word !== undefined) {
    countBlocks(scan, word.toLowerCase());
    return advance(scan, at + word.length);
  }
  if (char === '(') scan.depth += 1;
  if (char === ')' && scan.depth > 0) scan.depth -= 1;
  // A digit may be followed by letters ($1, 1e5) that are no word of their own.
  if (/[0-9$]/.test(char)) return advance(scan, at + (matchAt(/[0-9A-Za-z_.$]+/y, text, at)?.length ?? 1));
  advance(scan, at + 1);
}

/** As psql: inside CREATE [OR REPLACE] FUNCTION or PROCEDURE, BEGIN and CASE open a block and END closes one. */
function countBlocks(scan: Scan, word: string): void {
  if (scan.words.length < 4) scan.words.push(word);
  const [first, second, third, fourth] = scan.words;
  const made = second === 'or' && third === 'replace' ? fourth : second;
  if (first !== 'create' || (made !== 'function' && made !== 'procedure') || scan.depth > 0) return;
  if (word === 'begin') scan.begins += 1;
  else if (word === 'case' && scan.begins > 0) scan.begins += 1;
  else if (word === 'end' && scan.begins > 0) scan.begins -= 1;
}

function endStatement(scan: Scan): void {
  if (scan.start !== null) {
    const text = scan.text.slice(scan.start.at, scan.at).trimEnd();
    scan.statements.push({ text, line: scan.start.line, comments: scan.comments });
    scan.comments = [];
  }
  scan.start = null;
  scan.depth = 0;
  scan.words = [];
  scan.begins = 0;
}

function advance(scan: Scan, to: number): void {
  for (let at = scan.at; at < to; at += 1) if (scan.text[at] === '\n') scan.line += 1;
  scan.at = to;
}

function readLineComment(scan: Scan): void {
  const newline = scan.text.indexOf('\n', scan.at);
  const end = newline === -1 ? scan.text.length : newline;
  if (scan.start === null) {
    scan.comments.push({ text: scan.text.slice(scan.at + 2, end).trim(), line: scan.line });
  }
  scan.at = end;
}

/** Block comments nest in SQL. */
function endOfBlockComment(scan: Scan): number {
  const marks = /\/\*|\*\//g;
  marks.lastIndex = scan.at;
  let open = 0;
  for (let mark = marks.exec(scan.text); mark !== null; mark = marks.exec(scan.text)) {
    open += mark[0] === '/*' ? 1 : -1;
    if (open === 0) return marks.lastIndex;
  }
  throw unclosed(scan, 'comment');
}

function endOfQuote(scan: Scan, from: number, escapes: boolean): number {
  const quote = scan.text[from];
  for (let at = from + 1; at < scan.text.length; at += 1) {
    const char = scan.text[at];
    if (escapes && char === '\\') at += 1;
    else if (char === quote && scan.text[at + 1] === quote) at += 1;
    else if (char === quote) return at + 1;
  }
  throw unclosed(scan, 'quote');
}

function endOfDollarQuote(scan: Scan, tag: string): number {
  const end = scan.text.indexOf(tag, scan.at + tag.length);
  if (end === -1) throw unclosed(scan, `quote ${tag}`);
  return end + tag.length;
}

function unclosed(scan: Scan, what: string): ClonaError {
  return new ClonaError('usage', `line ${scan.line}: a ${what} is opened and never closed`, {
    details: { line: scan.line },
  });
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
