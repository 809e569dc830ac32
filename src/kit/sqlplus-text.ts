import type { SqlTextProblem } from './sql-text.ts';

/** What can be seen to go wrong in a script of SQL*Plus before a machine is asked. */
export function checkSqlPlusText(text: string): SqlTextProblem[] {
  if (text.includes('\uFFFD')) return [{ line: null, message: 'is not valid UTF-8' }];
  const lines = readLines(text);
  if (lines.length === 0) return [{ line: null, message: 'holds no statement' }];
  return lines.flatMap(({ text, line }, index) => {
    const message = explain(text, index === lines.length - 1);
    return message === undefined ? [] : [{ line, message }];
  });
}

/** Many scripts end with EXIT: then nothing after them can say that they came to their end. */
export function endsItself(text: string): boolean {
  return /^(?:exit|quit)\b/i.test(readLines(text).at(-1)?.text ?? '');
}

function readLines(text: string): { text: string; line: number }[] {
  return text.split(/\r?\n/).flatMap((raw, index) => {
    const line = raw.replace(/^\uFEFF/, '').trim();
    const nothing = line === '' || line.startsWith('--') || /^(?:rem(?:ark)?|prompt)\b/i.test(line);
    return nothing ? [] : [{ text: line, line: index + 1 }];
  });
}

function explain(line: string, isLast: boolean): string | undefined {
  // Of a loop in PL/SQL: EXIT WHEN, EXIT; inside of it. Of SQL*Plus: with nothing or a status behind it.
  if (/^(?:exit|quit)(?:\s+(?:success|failure|warning|\d+|sql\.sqlcode)\b.*)?$/i.test(line) && !isLast) {
    return 'EXIT in the middle ends SQL*Plus before it is known that all of it ran: leave it out';
  }
  if (/^conn(?:ect)?\s+(?!by\b)/i.test(line)) {
    return 'CONNECT needs a password in the kit: clona has logged on already';
  }
  if (/^(?:accept|pause)\b/i.test(line)) return 'nobody is there to answer ACCEPT or PAUSE';
  return undefined;
}
