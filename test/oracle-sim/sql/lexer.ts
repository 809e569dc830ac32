import { OraError } from '../wire/values.ts';

export interface Token {
  kind: 'word' | 'quoted' | 'number' | 'string' | 'bind' | 'operator' | 'end';
  /** Words in capitals, the content of what is quoted. */
  text: string;
  at: number;
}

const patterns: readonly [Token['kind'] | 'space', RegExp][] = [
  ['space', /(?:\s|--[^\n]*|\/\*[\s\S]*?\*\/)+/y],
  ['word', /[A-Za-z][\w$#]*/y],
  ['quoted', /"([^"]*)"/y],
  ['string', /'((?:[^']|'')*)'/y],
  ['number', /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+/y],
  ['bind', /:\s*(\w[\w$#]*|"[^"]*")/y],
  ['operator', /\|\||:=|=>|<>|!=|\^=|<=|>=|\.\.|[-+*/=<>(),.;%@]/y],
];

/** Cuts SQL or PL/SQL into tokens, as the server's own scanner would. */
export function scan(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < sql.length;) {
    const found = match(sql, at);
    if (found === null) {
      if (sql[at] === "'") throw new OraError(1756, 'quoted string not properly terminated', at);
      throw new OraError(911, 'invalid character', at);
    }
    if (found.kind !== 'space') tokens.push({ kind: found.kind, text: found.text, at });
    at += found.length;
  }
  tokens.push({ kind: 'end', text: '', at: sql.length });
  return tokens;
}

function match(
  sql: string,
  at: number,
): { kind: Token['kind'] | 'space'; text: string; length: number } | null {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = at;
    const found = pattern.exec(sql);
    if (found === null) continue;
    const text = found[1] ?? found[0];
    return { kind, text: textOf(kind, text), length: found[0].length };
  }
  return null;
}

function textOf(kind: Token['kind'] | 'space', text: string): string {
  if (kind === 'word') return text.toUpperCase();
  return kind === 'string' ? text.replaceAll("''", "'") : text;
}
