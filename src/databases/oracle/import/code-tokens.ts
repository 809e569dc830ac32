/** One token of SQL or PL/SQL that matters to names; what is skipped (spaces, comments) is no token. */
export interface CodeToken {
  kind: 'word' | 'quoted' | 'text' | 'sign';
  /** Where it stands in the code, with its quotes. */
  start: number;
  end: number;
  /** A word in upper case, a quoted name without its quotes, the content of a text, or the sign itself. */
  value: string;
}

const spaces = /\s+/y;
const lineComment = /--[^\n]*/y;
const blockComment = /\/\*[\s\S]*?(?:\*\/|$)/y;
const alternativeText = /n?q'/iy;
const nationalText = /n'/iy;
const word = /[\p{L}_][\p{L}\p{N}_$#]*/uy;
const number = /\d[\d.]*(?:e[+-]?\d+)?[fd]?/iy;
const closingSigns: Readonly<Record<string, string>> = { '[': ']', '{': '}', '(': ')', '<': '>' };

/**
 * Cuts code into names, texts and signs (PL/SQL Language Reference, Lexical Units; SQL Language Reference, Literals). Code that
 * ends inside a text or a comment is read to its end: the server has compiled or refused it already.
 */
export function readCodeTokens(code: string): CodeToken[] {
  const tokens: CodeToken[] = [];
  let at = 0;
  while (at < code.length) {
    const skipped = match(spaces, code, at) ?? match(lineComment, code, at) ?? match(blockComment, code, at);
    if (skipped !== undefined) {
      at += skipped.length;
      continue;
    }
    const token = readToken(code, at);
    tokens.push(token);
    at = token.end;
  }
  return tokens;
}

function readToken(code: string, start: number): CodeToken {
  const alternative = match(alternativeText, code, start);
  if (alternative !== undefined) return readAlternative(code, start, start + alternative.length);
  const national = match(nationalText, code, start);
  if (national !== undefined || code[start] === "'") {
    const open = start + (national?.length ?? 1);
    const end = endOfText(code, open);
    const value = code.slice(open, Math.max(open, end - 1)).replaceAll("''", "'");
    return { kind: 'text', start, end, value };
  }
  if (code[start] === '"') {
    const close = code.indexOf('"', start + 1);
    const end = close === -1 ? code.length : close + 1;
    return { kind: 'quoted', start, end, value: code.slice(start + 1, end - 1) };
  }
  const name = match(word, code, start);
  if (name !== undefined) return { kind: 'word', start, end: start + name.length, value: name.toUpperCase() };
  const sign = match(number, code, start) ?? code[start]!; // start < length
  return { kind: 'sign', start, end: start + sign.length, value: sign };
}

/** q'[ … ]': the delimiter is any character but a space, brackets close with their other half. */
function readAlternative(code: string, start: number, open: number): CodeToken {
  const sign = code[open] ?? "'";
  const close = code.indexOf(`${closingSigns[sign] ?? sign}'`, open + 1);
  const end = close === -1 ? code.length : close + 2;
  return { kind: 'text', start, end, value: code.slice(open + 1, close === -1 ? code.length : close) };
}

function endOfText(code: string, from: number): number {
  for (let at = from; at < code.length; at += 1) {
    if (code[at] !== "'") continue;
    if (code[at + 1] !== "'") return at + 1;
    at += 1;
  }
  return code.length;
}

function match(pattern: RegExp, code: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(code)?.[0];
}
