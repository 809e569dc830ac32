import { ClonaError } from '../../errors.ts';

export interface OracleStatement {
  /** As the driver takes it: no semicolon behind SQL, the one of a block kept. */
  text: string;
  /** Of its first word, from 1. */
  line: number;
  /** The comment line before it. */
  comment: string | undefined;
}

const blockStart =
  /^(?:<<|(?:begin|declare)\b)|^create\s+(?:or\s+replace\s+)?(?:(?:non)?editionable\s+)?(?:procedure|function|package|trigger|type)\b/i;
const quotedText =
  /[nN]?[qQ]'(?:\[[^]*?\]'|\{[^]*?\}'|\([^]*?\)'|<[^]*?>'|([^\s[{(<])[^]*?\1')|'(?:[^']|'')*'|"[^"]*"|--[^\n]*|\/\*[^]*?\*\//y;

/**
 * Splits a file as SQL*Plus does: a semicolon ends SQL, a line with a slash alone ends a block of PL/SQL (and SQL that has no
 * semicolon). Texts, names in quotes and comments hold neither. Throws `usage` with the line where one of them is never closed.
 */
export function splitOracleSql(text: string): OracleStatement[] {
  const found: OracleStatement[] = [];
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  let start = -1;
  let comment: string | undefined;
  const end = (to: number, isBlock: boolean): void => {
    const body = text.slice(start, to).trim();
    if (start >= 0 && body !== '') {
      found.push({
        text: isBlock ? body : body.replace(/;$/, '').trim(),
        line: lineOf(text, start),
        comment,
      });
    }
    start = -1;
    comment = undefined;
  };
  while (at < text.length) {
    const isBlock = start >= 0 && blockStart.test(text.slice(start, start + 200));
    const slash = /[ \t]*\/[ \t]*(?:\r?\n|$)/y;
    slash.lastIndex = at;
    if ((at === 0 || text[at - 1] === '\n') && slash.test(text)) {
      end(at, isBlock);
      at = slash.lastIndex;
      continue;
    }
    quotedText.lastIndex = at;
    const quoted = quotedText.exec(text)?.[0];
    if (quoted !== undefined) {
      const isComment = quoted.startsWith('--') || quoted.startsWith('/*');
      if (isComment && start < 0) comment = quoted.startsWith('--') ? quoted.slice(2).trim() : comment;
      else if (start < 0) start = at;
      at += quoted.length;
      continue;
    }
    const sign = text[at] ?? '';
    if (sign === "'" || sign === '"' || text.startsWith('/*', at)) {
      throw new ClonaError('usage', `line ${lineOf(text, at)}: a quote or comment is never closed`);
    }
    if (sign === ';' && !isBlock) end(at, false);
    else if (start < 0 && sign.trim() !== '') start = at;
    at += 1;
  }
  end(text.length, start >= 0 && blockStart.test(text.slice(start, start + 200)));
  return found;
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}
