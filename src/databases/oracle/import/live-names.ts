import { readCodeTokens, type CodeToken } from './code-tokens.ts';

/** A place where code names LIVE's schema outright. */
export interface LiveName {
  /**
   * code: the name stands before a dot, or is made the current schema: the server goes to LIVE;
   * text: inside a string, which may be run as SQL or passed as the name of a schema.
   */
  kind: 'code' | 'text';
  /** From 1. */
  line: number;
  /** The line, cut at 200 characters. */
  excerpt: string;
  start: number;
  end: number;
}

export interface LiveNames {
  names: LiveName[];
  /** The schema's name is something else here, too (an alias, a variable, a label): a machine cannot tell them apart. */
  ambiguous: boolean;
  /** Wrapped by the vendor: nobody can read it. */
  wrapped: boolean;
}

/**
 * Finds where code names a schema. `schema` is as the dictionary writes it: ERP is met by erp, Erp and "ERP", while Erp (a name made
 * in quotes) is met by "Erp" alone. Comments are passed over, strings are looked into and told apart.
 */
export function findLiveNames(code: string, schema: string): LiveNames {
  if (isWrapped(code)) return { names: [], ambiguous: false, wrapped: true };
  const tokens = readCodeTokens(code);
  const names: LiveName[] = [];
  let ambiguous = false;
  const lineAt = createLineFinder(code);
  const add = (kind: LiveName['kind'], { start, end }: CodeToken): void => {
    names.push({ kind, start, end, ...lineAt(start) });
  };
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'text') {
      if (textNames(token.value, schema)) add('text', token);
      continue;
    }
    if (!isName(token, schema)) continue;
    const before = tokens[index - 1]?.value;
    const next = tokens[index + 1];
    // A column or a member of that name, a remote database, a bind: never the schema.
    if (before === '.' || before === '@' || before === ':') continue;
    if (next?.value === '.') add('code', token);
    else if (before === '=' && tokens[index - 2]?.value === 'CURRENT_SCHEMA') add('code', token);
    else ambiguous = true;
  }
  return { names, ambiguous, wrapped: false };
}

function isName({ kind, value }: CodeToken, schema: string): boolean {
  return (kind === 'word' || kind === 'quoted') && value === schema;
}

/** What DBMS_DDL.WRAP and the wrap tool leave: the word stands at the end of the first line, base64 follows. */
export function isWrapped(code: string): boolean {
  return /^[^\n]*\bwrapped\s*\n\s*[0-9a-f]{6,8}\s*\n/i.test(code.slice(0, 600));
}

/** A string that is the name itself (an argument of DBMS_STATS …) or holds it before a dot, as SQL would. */
function textNames(text: string, schema: string): boolean {
  if (text === schema || text === `"${schema}"`) return true;
  if (schema === schema.toUpperCase() && text.toUpperCase() === schema) return true;
  const tokens = readCodeTokens(text);
  return tokens.some((token, index) => {
    if (!isName(token, schema)) return false;
    const before = tokens[index - 1]?.value;
    if (before === '.' || before === '@') return false;
    if (before === '=' && tokens[index - 2]?.value === 'CURRENT_SCHEMA') return true;
    const [dot, next] = tokens.slice(index + 1);
    // A full stop has a space behind it; a name that is put together ends with its dot.
    return dot?.value === '.' && dot.start === token.end && (next === undefined || next.start === dot.end);
  });
}

/**
 * The same code with CLONA's name in place of LIVE's. Only names in code are changed: a string may be anything.
 * null: it cannot be done by a machine (the name has a second meaning here, or the code is wrapped).
 */
export function rewriteLiveNames(code: string, schema: string, clone: string): string | null {
  const { names, ambiguous, wrapped } = findLiveNames(code, schema);
  if (wrapped || ambiguous) return null;
  let rewritten = code;
  for (const { start, end } of names.filter(({ kind }) => kind === 'code').toReversed()) {
    rewritten = `${rewritten.slice(0, start)}"${clone}"${rewritten.slice(end)}`;
  }
  return rewritten;
}

function createLineFinder(code: string): (at: number) => { line: number; excerpt: string } {
  let seen = 0;
  let line = 1;
  return (at) => {
    for (; seen < at; seen += 1) if (code[seen] === '\n') line += 1;
    const start = code.lastIndexOf('\n', at - 1) + 1;
    const end = code.indexOf('\n', at);
    const text = code.slice(start, end === -1 ? code.length : end).trim();
    return { line, excerpt: text.slice(0, 200) };
  };
}
