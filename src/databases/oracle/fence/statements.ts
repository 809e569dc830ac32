import { readCodeTokens } from '../import/code-tokens.ts';

const blockStart =
  /^\s*(?:<<|DECLARE\b|BEGIN\b|CREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:NON)?EDITIONABLE\s+)?(?:FUNCTION|PROCEDURE|PACKAGE|TRIGGER|TYPE)\b)/i;

/**
 * What a site writes into staging.fence, in the pieces that the server takes: statements end with a semicolon, blocks of PL/SQL with a
 * slash alone in its line, or with the text. The driver takes no semicolon behind a statement, and wants the one behind a block.
 */
export function splitStatements(sql: string): string[] {
  const pieces: string[] = [];
  for (const part of sql.split(/^[ \t]*\/[ \t]*$/m)) {
    for (let rest = part; rest.trim() !== '';) {
      if (blockStart.test(withoutComments(rest))) {
        pieces.push(rest.trim());
        break;
      }
      const end = readCodeTokens(rest).find(({ kind, value }) => kind === 'sign' && value === ';');
      const piece = rest.slice(0, end?.start).trim();
      if (withoutComments(piece).trim() !== '') pieces.push(piece);
      if (end === undefined) break;
      rest = rest.slice(end.end);
    }
  }
  return pieces;
}

/** In front of the first word only: enough to tell what kind of statement it is. */
function withoutComments(text: string): string {
  return text.replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)+/, '');
}
