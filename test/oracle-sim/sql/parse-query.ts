import { OraError } from '../wire/values.ts';
import type { Expression, Order, Query, SelectItem, Source } from './ast.ts';
import { TokenCursor } from './cursor.ts';
import { parseExpression, type ParseContext } from './parse-expression.ts';

/** SELECT as far as the README says; what is left over is ORA-00933. */
export function parseSelect(sql: string): { query: Query; binds: number } {
  const context: ParseContext = { cursor: new TokenCursor(sql), binds: { count: 0 }, parseQuery };
  const query = parseQuery(context);
  const { token } = context.cursor;
  // The server takes no semicolon: that is SQL*Plus.
  if (token.kind === 'operator' && token.text === ';') throw new OraError(911, 'invalid character', token.at);
  if (token.kind !== 'end') throw new OraError(933, 'SQL command not properly ended', token.at);
  return { query, binds: context.binds.count };
}

function parseQuery(context: ParseContext): Query {
  const named = parseNamedQueries(context);
  const query = parseCore(context);
  query.named = named;
  if (context.cursor.accept('UNION', 'ALL')) query.union = parseCore(context, false);
  query.orderBy = parseOrder(context);
  parseLimits(context, query);
  return query;
}

function parseNamedQueries(context: ParseContext): Map<string, Query> {
  const { cursor } = context;
  const named = new Map<string, Query>();
  if (!cursor.accept('WITH')) return named;
  do {
    const name = cursor.name();
    cursor.expect('AS', 905, 'missing keyword');
    cursor.expect('(', 906, 'missing left parenthesis');
    named.set(name, parseQuery(context));
    cursor.expect(')', 907, 'missing right parenthesis');
  } while (cursor.accept(','));
  return named;
}

function parseCore(context: ParseContext, chained = true): Query {
  const { cursor } = context;
  cursor.expect('SELECT', 900, 'invalid SQL statement');
  const distinct = cursor.accept('DISTINCT');
  const items = [parseItem(context)];
  while (cursor.accept(',')) items.push(parseItem(context));
  cursor.expect('FROM', 923, 'FROM keyword not found where expected');
  const sources = parseSources(context);
  const where = cursor.accept('WHERE') ? parseExpression(context) : null;
  const groupBy: Expression[] = [];
  if (cursor.accept('GROUP', 'BY')) {
    do groupBy.push(parseExpression(context));
    while (cursor.accept(','));
  }
  const having = cursor.accept('HAVING') ? parseExpression(context) : null;
  const union = !chained && cursor.accept('UNION', 'ALL') ? parseCore(context, false) : null;
  return {
    distinct,
    items,
    sources,
    where,
    groupBy,
    having,
    union,
    orderBy: [],
    offset: null,
    limit: null,
    named: new Map(),
  };
}

function parseItem(context: ParseContext): SelectItem {
  const { cursor } = context;
  const { at } = cursor.token;
  if (cursor.accept('*')) return { expression: null, star: '', alias: null, text: '*', at };
  if (cursor.peek(1).text === '.' && cursor.peek(2).text === '*') {
    const star = cursor.name();
    cursor.next();
    cursor.next();
    return { expression: null, star, alias: null, text: '*', at };
  }
  const expression = parseExpression(context);
  const as = cursor.accept('AS');
  const { kind, text } = cursor.token;
  const named = kind === 'quoted' || (kind === 'word' && (as || !endsItem.has(text)));
  return { expression, star: null, alias: named ? cursor.name() : null, text: '', at };
}

const endsItem = new Set(['FROM', 'UNION', 'INTO', 'BULK']);
const endsSource = new Set([
  'WHERE',
  'ORDER',
  'GROUP',
  'JOIN',
  'LEFT',
  'INNER',
  'CROSS',
  'ON',
  'UNION',
  'FETCH',
  'OFFSET',
  'HAVING',
  'RIGHT',
  'FULL',
  'NATURAL',
  'FOR',
  'MINUS',
  'INTERSECT',
  'START',
  'CONNECT',
  'AS',
]);

function parseSources(context: ParseContext): Source[] {
  const { cursor } = context;
  const sources = [parseSource(context, 'cross')];
  for (;;) {
    if (cursor.accept(',') || cursor.accept('CROSS', 'JOIN')) sources.push(parseSource(context, 'cross'));
    else if (cursor.accept('JOIN') || cursor.accept('INNER', 'JOIN'))
      sources.push(parseJoin(context, 'inner'));
    else if (cursor.accept('LEFT', 'JOIN') || cursor.accept('LEFT', 'OUTER', 'JOIN'))
      sources.push(parseJoin(context, 'left'));
    else return sources;
  }
}

function parseJoin(context: ParseContext, join: 'inner' | 'left'): Source {
  const source = parseSource(context, join);
  context.cursor.expect('ON', 905, 'missing keyword');
  return { ...source, on: parseExpression(context) };
}

function parseSource(context: ParseContext, join: Source['join']): Source {
  const { cursor } = context;
  const { at } = cursor.token;
  const source: Source = { schema: null, name: '', link: null, query: null, alias: null, join, on: null, at };
  if (cursor.accept('(')) {
    source.query = parseQuery(context);
    cursor.expect(')', 907, 'missing right parenthesis');
  } else {
    source.name = cursor.name();
    if (cursor.accept('.')) {
      source.schema = source.name;
      source.name = cursor.name();
    }
    if (cursor.accept('@')) source.link = cursor.name();
  }
  const { kind, text } = cursor.token;
  if (kind === 'quoted' || (kind === 'word' && !endsSource.has(text))) source.alias = cursor.name();
  return source;
}

function parseOrder(context: ParseContext): Order[] {
  const { cursor } = context;
  const orders: Order[] = [];
  if (!cursor.accept('ORDER', 'BY')) return orders;
  do {
    const expression = parseExpression(context);
    const descending = cursor.accept('DESC') || (cursor.accept('ASC'), false);
    const nullsFirst = cursor.accept('NULLS', 'FIRST') ? true : cursor.accept('NULLS', 'LAST') ? false : null;
    orders.push({ expression, descending, nullsFirst });
  } while (cursor.accept(','));
  return orders;
}

function parseLimits(context: ParseContext, query: Query): void {
  const { cursor } = context;
  if (cursor.accept('OFFSET')) {
    query.offset = parseExpression(context);
    if (!cursor.accept('ROWS')) cursor.expect('ROW', 905, 'missing keyword');
  }
  if (!cursor.accept('FETCH')) return;
  if (!cursor.accept('FIRST')) cursor.expect('NEXT', 905, 'missing keyword');
  query.limit =
    cursor.is('ROW') || cursor.is('ROWS') ? { kind: 'literal', value: 1n, at: 0 } : parseExpression(context);
  if (!cursor.accept('ROWS')) cursor.expect('ROW', 905, 'missing keyword');
  cursor.expect('ONLY', 905, 'missing keyword');
}
