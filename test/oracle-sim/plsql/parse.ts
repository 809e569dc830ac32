import { OraError } from '../wire/values.ts';
import { TokenCursor } from '../sql/cursor.ts';
import type { Block, PathPart, PlsqlExpression, Statement } from './ast.ts';

/** Anonymous blocks, as far as clients write them: no SELECT INTO, cursors, procedures of their own, types of their own. */
export function parseBlock(sql: string): { block: Block; binds: string[] } {
  const cursor = new TokenCursor(sql);
  const binds: string[] = [];
  const block = parseBody(cursor, binds);
  if (!cursor.atEnd()) throw refuse(cursor);
  return { block, binds };
}

function parseBody(cursor: TokenCursor, binds: string[]): Block {
  const variables: Block['variables'] = [];
  if (cursor.accept('DECLARE')) {
    while (!cursor.is('BEGIN')) variables.push(parseVariable(cursor, binds));
  }
  need(cursor, 'BEGIN');
  const body = parseStatements(cursor, binds, ['END', 'EXCEPTION']);
  let handler: Statement[] | null = null;
  if (cursor.accept('EXCEPTION')) {
    for (const word of ['WHEN', 'OTHERS', 'THEN']) need(cursor, word);
    handler = parseStatements(cursor, binds, ['END']);
  }
  need(cursor, 'END');
  need(cursor, ';');
  return { variables, body, handler };
}

function parseVariable(cursor: TokenCursor, binds: string[]): Block['variables'][number] {
  const name = nameOf(cursor);
  nameOf(cursor); // its type: values are checked where they are used
  if (cursor.accept('(')) {
    cursor.next();
    need(cursor, ')');
  }
  const value = cursor.accept(':=') ? parseExpression(cursor, binds) : null;
  need(cursor, ';');
  return { name, value };
}

function parseStatements(cursor: TokenCursor, binds: string[], ends: readonly string[]): Statement[] {
  const statements: Statement[] = [];
  while (!ends.some((word) => cursor.is(word))) {
    if (cursor.token.kind === 'end') throw refuse(cursor);
    statements.push(parseStatement(cursor, binds));
  }
  if (statements.length === 0) throw refuse(cursor);
  return statements;
}

function parseStatement(cursor: TokenCursor, binds: string[]): Statement {
  if (cursor.is('BEGIN') || cursor.is('DECLARE')) return { kind: 'block', block: parseBody(cursor, binds) };
  const statement = parseSimple(cursor, binds);
  need(cursor, ';');
  return statement;
}

function parseSimple(cursor: TokenCursor, binds: string[]): Statement {
  if (cursor.accept('NULL')) return { kind: 'null' };
  if (cursor.accept('RAISE')) return { kind: 'raise' };
  if (cursor.accept('IF')) return parseIf(cursor, binds);
  if (cursor.accept('EXIT')) {
    return { kind: 'exit', when: cursor.accept('WHEN') ? parseExpression(cursor, binds) : null };
  }
  if (cursor.accept('EXECUTE', 'IMMEDIATE')) return { kind: 'execute', sql: parseExpression(cursor, binds) };
  if (cursor.accept('WHILE')) {
    const when = parseExpression(cursor, binds);
    return { kind: 'while', when, body: parseLoop(cursor, binds) };
  }
  if (cursor.accept('FOR')) {
    const name = nameOf(cursor);
    need(cursor, 'IN');
    const from = parseExpression(cursor, binds);
    need(cursor, '..');
    const to = parseExpression(cursor, binds);
    return { kind: 'for', name, from, to, body: parseLoop(cursor, binds) };
  }
  const to = parsePrimary(cursor, binds);
  if (cursor.accept(':=')) return { kind: 'assign', to, value: parseExpression(cursor, binds) };
  if (to.kind !== 'path') throw refuse(cursor);
  return { kind: 'call', path: to };
}

function parseLoop(cursor: TokenCursor, binds: string[]): Statement[] {
  need(cursor, 'LOOP');
  const body = parseStatements(cursor, binds, ['END']);
  need(cursor, 'END');
  need(cursor, 'LOOP');
  return body;
}

function parseIf(cursor: TokenCursor, binds: string[]): Statement {
  const branches: { when: PlsqlExpression | null; body: Statement[] }[] = [];
  const ends = ['ELSIF', 'ELSE', 'END'];
  do {
    const when = parseExpression(cursor, binds);
    need(cursor, 'THEN');
    branches.push({ when, body: parseStatements(cursor, binds, ends) });
  } while (cursor.accept('ELSIF'));
  if (cursor.accept('ELSE')) branches.push({ when: null, body: parseStatements(cursor, binds, ['END']) });
  need(cursor, 'END');
  need(cursor, 'IF');
  return { kind: 'if', branches };
}

const levels: readonly (readonly string[])[] = [
  ['OR'],
  ['AND'],
  ['=', '<>', '!=', '<', '>', '<=', '>='],
  ['||', '+', '-'],
  ['*', '/'],
];

export function parseExpression(cursor: TokenCursor, binds: string[], level = 0): PlsqlExpression {
  const operators = levels[level];
  if (operators === undefined) return parseUnary(cursor, binds);
  if (level === 2 && cursor.accept('NOT')) {
    return { kind: 'unary', operator: 'NOT', operand: parseExpression(cursor, binds, 2) };
  }
  let left = parseExpression(cursor, binds, level + 1);
  for (;;) {
    if (level === 2 && cursor.accept('IS')) {
      const negated = cursor.accept('NOT');
      need(cursor, 'NULL');
      left = { kind: 'isNull', operand: left, negated };
      continue;
    }
    const operator = operators.find((one) => cursor.is(one));
    if (operator === undefined) return left;
    cursor.next();
    left = { kind: 'binary', operator, left, right: parseExpression(cursor, binds, level + 1) };
  }
}

function parseUnary(cursor: TokenCursor, binds: string[]): PlsqlExpression {
  if (cursor.accept('-')) return { kind: 'unary', operator: '-', operand: parseUnary(cursor, binds) };
  if (!cursor.accept('(')) return parsePrimary(cursor, binds);
  const inner = parseExpression(cursor, binds);
  need(cursor, ')');
  return inner;
}

function parsePrimary(cursor: TokenCursor, binds: string[]): PlsqlExpression {
  const { kind, text, at } = cursor.token;
  if (kind === 'bind') {
    cursor.next();
    const name = text.toUpperCase();
    if (!binds.includes(name)) binds.push(name);
    return { kind: 'bind', name };
  }
  if (kind === 'string') return literal(cursor, text);
  if (kind === 'number') return literal(cursor, /^\d+$/.test(text) ? BigInt(text) : Number(text));
  if (cursor.is('NULL')) return literal(cursor, null);
  if (cursor.is('TRUE') || cursor.is('FALSE')) return literal(cursor, text === 'TRUE');
  const parts: PathPart[] = [{ kind: 'name', name: nameOf(cursor) }];
  for (;;) {
    if (cursor.accept('.')) parts.push({ kind: 'name', name: nameOf(cursor) });
    else if (cursor.accept('(')) parts.push({ kind: 'arguments', list: parseArguments(cursor, binds) });
    else return { kind: 'path', parts, at };
  }
}

function literal(cursor: TokenCursor, value: string | bigint | number | boolean | null): PlsqlExpression {
  cursor.next();
  return { kind: 'literal', value };
}

function parseArguments(
  cursor: TokenCursor,
  binds: string[],
): { name: string | null; value: PlsqlExpression }[] {
  const list: { name: string | null; value: PlsqlExpression }[] = [];
  if (cursor.accept(')')) return list;
  do {
    const named = cursor.peek(1).text === '=>' && cursor.peek(1).kind === 'operator';
    const name = named ? nameOf(cursor) : null;
    if (named) need(cursor, '=>');
    list.push({ name, value: parseExpression(cursor, binds) });
  } while (cursor.accept(','));
  need(cursor, ')');
  return list;
}

function nameOf(cursor: TokenCursor): string {
  const { kind, text } = cursor.token;
  if (kind !== 'word' && kind !== 'quoted') throw refuse(cursor);
  cursor.next();
  return text;
}

function need(cursor: TokenCursor, word: string): void {
  if (!cursor.accept(word)) throw refuse(cursor);
}

function refuse(cursor: TokenCursor): OraError {
  const { kind, text, at } = cursor.token;
  const seen = kind === 'end' ? 'end-of-file' : text;
  return new OraError(6550, `line 1, column ${at + 1}:\nPLS-00103: Encountered the symbol "${seen}"`, at);
}
