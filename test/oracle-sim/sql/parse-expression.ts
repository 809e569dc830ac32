import { OraError } from '../wire/values.ts';
import type { Expression, Query } from './ast.ts';
import type { TokenCursor } from './cursor.ts';
import { parseDateLiteral, parseTimestampLiteral } from './formats.ts';

/** Binds are counted as they come: SQL repeats the values of names that repeat (ORACLE-WIRE: Traps). */
export interface ParseContext {
  cursor: TokenCursor;
  binds: { count: number };
  parseQuery(context: ParseContext): Query;
}

export function parseExpression(context: ParseContext): Expression {
  let left = parseAnd(context);
  while (context.cursor.is('OR')) {
    const { at } = context.cursor.next();
    left = { kind: 'binary', operator: 'or', left, right: parseAnd(context), at };
  }
  return left;
}

function parseAnd(context: ParseContext): Expression {
  let left = parseNot(context);
  while (context.cursor.is('AND')) {
    const { at } = context.cursor.next();
    left = { kind: 'binary', operator: 'and', left, right: parseNot(context), at };
  }
  return left;
}

function parseNot(context: ParseContext): Expression {
  if (!context.cursor.is('NOT')) return parseComparison(context);
  const { at } = context.cursor.next();
  return { kind: 'unary', operator: 'not', operand: parseNot(context), at };
}

const comparisons = new Map([
  ['=', '='],
  ['<>', '<>'],
  ['!=', '<>'],
  ['^=', '<>'],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
]);

function parseComparison(context: ParseContext): Expression {
  const { cursor } = context;
  const left = parseSum(context);
  const { at, text, kind } = cursor.token;
  const operator = kind === 'operator' ? comparisons.get(text) : undefined;
  if (operator !== undefined) {
    cursor.next();
    return { kind: 'binary', operator, left, right: parseSum(context), at };
  }
  if (cursor.accept('IS')) {
    const negated = cursor.accept('NOT');
    cursor.expect('NULL', 908, 'missing NULL keyword');
    return { kind: 'isNull', operand: left, negated, at };
  }
  const negated = cursor.is('NOT') && ['IN', 'LIKE', 'BETWEEN'].includes(cursor.peek(1).text);
  if (negated) cursor.next();
  const tested = parseTest(context, left, at);
  if (tested === null) return left;
  return negated ? { kind: 'unary', operator: 'not', operand: tested, at } : tested;
}

function parseTest(context: ParseContext, left: Expression, at: number): Expression | null {
  const { cursor } = context;
  if (cursor.accept('IN')) return { kind: 'in', operand: left, list: parseList(context), negated: false, at };
  if (cursor.accept('BETWEEN')) {
    const low = parseSum(context);
    cursor.expect('AND', 905, 'missing keyword');
    const high = parseSum(context);
    const above: Expression = { kind: 'binary', operator: '>=', left, right: low, at };
    return {
      kind: 'binary',
      operator: 'and',
      left: above,
      right: { kind: 'binary', operator: '<=', left, right: high, at },
      at,
    };
  }
  if (!cursor.accept('LIKE')) return null;
  const args = [left, parseSum(context)];
  if (cursor.accept('ESCAPE')) args.push(parseSum(context));
  return { kind: 'call', name: 'LIKE', args, star: false, distinct: false, at };
}

function parseList(context: ParseContext): Expression[] | Query {
  const { cursor } = context;
  cursor.expect('(', 906, 'missing left parenthesis');
  const list = cursor.is('SELECT') ? context.parseQuery(context) : parseArguments(context);
  cursor.expect(')', 907, 'missing right parenthesis');
  return list;
}

function parseArguments(context: ParseContext): Expression[] {
  const args = [parseExpression(context)];
  while (context.cursor.accept(',')) args.push(parseExpression(context));
  return args;
}

function parseSum(context: ParseContext): Expression {
  let left = parseProduct(context);
  while (context.cursor.is('+') || context.cursor.is('-') || context.cursor.is('||')) {
    const { text, at } = context.cursor.next();
    left = { kind: 'binary', operator: text, left, right: parseProduct(context), at };
  }
  return left;
}

function parseProduct(context: ParseContext): Expression {
  let left = parseUnary(context);
  while (context.cursor.is('*') || context.cursor.is('/')) {
    const { text, at } = context.cursor.next();
    left = { kind: 'binary', operator: text, left, right: parseUnary(context), at };
  }
  return left;
}

function parseUnary(context: ParseContext): Expression {
  const { cursor } = context;
  const { at } = cursor.token;
  if (cursor.accept('-')) return { kind: 'unary', operator: '-', operand: parseUnary(context), at };
  cursor.accept('+');
  const primary = parsePrimary(context);
  if (!cursor.accept('AT', 'TIME', 'ZONE')) return primary;
  return { kind: 'zone', operand: primary, zone: parsePrimary(context), at };
}

function parsePrimary(context: ParseContext): Expression {
  const { cursor } = context;
  const { kind, text, at } = cursor.token;
  if (kind === 'number') {
    cursor.next();
    return { kind: 'literal', value: /^\d+$/.test(text) ? BigInt(text) : Number(text), at };
  }
  if (kind === 'string') {
    cursor.next();
    return { kind: 'literal', value: text === '' ? null : text, at };
  }
  if (kind === 'bind') {
    cursor.next();
    context.binds.count += 1;
    return { kind: 'bind', index: context.binds.count - 1, at };
  }
  if (cursor.accept('(')) {
    const inner: Expression = cursor.is('SELECT')
      ? { kind: 'scalar', query: context.parseQuery(context), at }
      : parseExpression(context);
    cursor.expect(')', 907, 'missing right parenthesis');
    return inner;
  }
  return kind === 'word' || kind === 'quoted' ? parseNamed(context) : missing(at);
}

function missing(at: number): never {
  throw new OraError(936, 'missing expression', at);
}

const notNames = new Set([
  'FROM',
  'WHERE',
  'ORDER',
  'GROUP',
  'AND',
  'OR',
  'THEN',
  'ELSE',
  'END',
  'WHEN',
  'UNION',
  'SELECT',
  'ON',
  'IN',
  'IS',
  'LIKE',
  'BETWEEN',
  'DESC',
  'ASC',
  'FETCH',
  'HAVING',
  'BY',
]);

function parseNamed(context: ParseContext): Expression {
  const { cursor } = context;
  const { kind, text, at } = cursor.next();
  if (kind === 'word') {
    if (notNames.has(text)) return missing(at);
    if (text === 'NULL') return { kind: 'literal', value: null, at };
    if (text === 'CASE') return parseCase(context, at);
    if (text === 'CAST') return parseCast(context, at);
    if (text === 'EXISTS' && cursor.accept('(')) return parseExists(context, at);
    if (text === 'DATE' && cursor.token.kind === 'string')
      return { kind: 'literal', value: parseDateLiteral(cursor.string(), at), at };
    if (text === 'TIMESTAMP' && cursor.token.kind === 'string')
      return { kind: 'literal', value: parseTimestampLiteral(cursor.string(), at), at };
  }
  if (cursor.accept('.')) {
    const name = cursor.name();
    if (cursor.is('(')) return parseCall(context, `${text}.${name}`, at);
    return { kind: 'column', source: text, name, at };
  }
  if (kind === 'word' && cursor.is('(')) return parseCall(context, text, at);
  return { kind: 'column', source: null, name: text, at };
}

function parseCall(context: ParseContext, name: string, at: number): Expression {
  const { cursor } = context;
  cursor.next();
  const star = cursor.accept('*');
  const distinct = cursor.accept('DISTINCT');
  const args = star || cursor.is(')') ? [] : parseArguments(context);
  cursor.expect(')', 907, 'missing right parenthesis');
  return { kind: 'call', name, args, star, distinct, at };
}

function parseExists(context: ParseContext, at: number): Expression {
  const query = context.parseQuery(context);
  context.cursor.expect(')', 907, 'missing right parenthesis');
  return { kind: 'exists', query, at };
}

function parseCase(context: ParseContext, at: number): Expression {
  const { cursor } = context;
  const tested = cursor.is('WHEN') ? null : parseExpression(context);
  const branches: { when: Expression; result: Expression }[] = [];
  while (cursor.accept('WHEN')) {
    const when = parseExpression(context);
    cursor.expect('THEN', 905, 'missing keyword');
    const compared: Expression =
      tested === null ? when : { kind: 'binary', operator: '=', left: tested, right: when, at };
    branches.push({ when: compared, result: parseExpression(context) });
  }
  const otherwise = cursor.accept('ELSE') ? parseExpression(context) : null;
  cursor.expect('END', 905, 'missing keyword');
  return { kind: 'case', branches, otherwise, at };
}

function parseCast(context: ParseContext, at: number): Expression {
  const { cursor } = context;
  cursor.expect('(', 906, 'missing left parenthesis');
  const operand = parseExpression(context);
  cursor.expect('AS', 905, 'missing keyword');
  const type = cursor.name();
  let size = 0;
  if (cursor.accept('(')) {
    size = Number(cursor.next().text);
    while (!cursor.accept(')')) cursor.next();
  }
  const zoned = cursor.accept('WITH', 'TIME', 'ZONE');
  cursor.expect(')', 907, 'missing right parenthesis');
  return { kind: 'cast', operand, type: zoned ? `${type} WITH TIME ZONE` : type, size, at };
}
