import { OraError, type Column, type SqlValue } from '../wire/values.ts';
import { aggregates, keyOf } from './aggregates.ts';
import type { Expression, Order, Query } from './ast.ts';
import { compare, toNumber } from './coerce.ts';
import { compile, type Compiled, type Compiler, type Condition } from './compile.ts';
import { compileCondition } from './conditions.ts';
import { compileSources } from './sources.ts';
import type { Dictionary, Environment, Row, Scope, View } from './scope.ts';
import { containsAggregate, checkGrouping } from './grouping.ts';

interface Sorter {
  order: Order;
  /** A position or an alias of the select list, or an expression of the sources. */
  output: number | null;
  compiled: Compiled | null;
}

/** Checks all names and types, and answers what runs: nothing is read before rows are taken. */
export function compileSelect(query: Query, dictionary: Dictionary): View {
  return compileQuery(query, { columns: [], parent: null, dictionary, named: new Map() });
}

function compileQuery(query: Query, outer: Scope): View {
  const named = new Map(outer.named);
  for (const [name, inner] of query.named) named.set(name, compileQuery(inner, { ...outer, named }));
  const context: Scope = { ...outer, named };
  const parts: View[] = [];
  for (let part: Query | null = query; part !== null; part = part.union) {
    const alone = part === query && query.union === null;
    parts.push(compilePart(alone ? part : { ...part, orderBy: [], offset: null, limit: null }, context));
  }
  const [first] = parts;
  if (parts.length === 1) return first!;
  if (parts.some(({ columns }) => columns.length !== first!.columns.length)) {
    throw new OraError(1789, 'query block has incorrect number of result columns');
  }
  return limited(query, sortedUnion(query, parts), context);
}

function sortedUnion(query: Query, parts: readonly View[]): View {
  const { columns } = parts[0]!;
  const sorters = query.orderBy.map((order) => ({
    order,
    output: outputOf(order.expression, columns),
    compiled: null,
  }));
  for (const { output, order } of sorters) {
    if (output === null)
      throw new OraError(
        1785,
        'ORDER BY item must be the number of a SELECT-list expression',
        order.expression.at,
      );
  }
  return {
    columns,
    rows: (environment) => {
      const rows = parts.flatMap((part) => [...part.rows(environment)]).map((row) => ({ row, source: row }));
      return sortRows(rows, sorters, environment).map(({ row }) => row);
    },
  };
}

function compilePart(query: Query, context: Scope): View {
  const sources = compileSources(query, context, compileQuery);
  const scope: Scope = {
    ...context,
    columns: sources.columns,
    parent: context.columns.length > 0 ? context : context.parent,
  };
  const compiler: Compiler = { scope, compileQuery, compileCondition };
  const { expressions, columns } = compileItems(query, compiler);
  const where = query.where === null ? null : compileCondition(compiler, query.where);
  if (query.where !== null && containsAggregate(query.where))
    throw new OraError(934, 'group function is not allowed here', query.where.at);
  const grouped =
    query.groupBy.length > 0 ||
    query.items.some(({ expression }) => expression !== null && containsAggregate(expression));
  if (grouped) checkGrouping(query);
  const keys = query.groupBy.map((expression) => compile(compiler, expression));
  const having = query.having === null ? null : compileCondition(compiler, query.having);
  const sorters = query.orderBy.map((order): Sorter => {
    const output = outputOf(order.expression, columns);
    return { order, output, compiled: output === null ? compile(compiler, order.expression) : null };
  });
  const limit = limitOf(query, compiler);
  const rows = (environment: Environment): Iterable<Row> => {
    const filtered = filter(sources.rows(environment), where, environment);
    const streams = !grouped && !query.distinct && sorters.length === 0;
    const project = (source: Row, group: readonly Row[] | null, rowNumber: number): Row => {
      const here = { ...environment, group, rowNumber };
      return expressions.map((expression) => expression.evaluate(source, here));
    };
    if (streams) return cut(mapRows(filtered, project), limit, environment);
    const groups = grouped ? groupRows([...filtered], keys, environment) : [...filtered].map((row) => [row]);
    const found = groups
      .filter((group) => having === null || having(group[0] ?? [], { ...environment, group }) === true)
      .map((group, index) => ({
        row: project(group[0] ?? [], grouped ? group : null, index + 1),
        source: group[0] ?? [],
        group,
      }));
    const distinct = query.distinct
      ? [...new Map(found.map((one) => [keyOf(one.row as unknown as SqlValue), one])).values()]
      : found;
    return cut(
      sortRows(distinct, sorters, environment).map(({ row }) => row),
      limit,
      environment,
    );
  };
  return { columns, rows };
}

function* filter(rows: Iterable<Row>, where: Condition | null, environment: Environment): Generator<Row> {
  const here = { ...environment, rowNumber: 1 }; // one for all rows: there may be many
  for (const row of rows) {
    if (where !== null && where(row, here) !== true) continue;
    here.rowNumber += 1;
    yield row;
  }
}

function* mapRows(
  rows: Iterable<Row>,
  project: (row: Row, group: null, rowNumber: number) => Row,
): Generator<Row> {
  let rowNumber = 1;
  for (const row of rows) {
    yield project(row, null, rowNumber);
    rowNumber += 1;
  }
}

/** Without GROUP BY everything is one group, even when there is nothing. */
function groupRows(rows: readonly Row[], keys: readonly Compiled[], environment: Environment): Row[][] {
  if (keys.length === 0) return [[...rows]];
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = keyOf(keys.map((one) => one.evaluate(row, environment)) as unknown as SqlValue);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups.values()];
}

function compileItems(query: Query, compiler: Compiler): { expressions: Compiled[]; columns: Column[] } {
  const expressions: Compiled[] = [];
  const columns: Column[] = [];
  for (const { expression, star, alias, at } of query.items) {
    if (expression !== null) {
      const compiled = compile(compiler, expression);
      expressions.push(compiled);
      columns.push({ name: alias ?? nameOf(expression), type: compiled.type });
      continue;
    }
    const taken = compiler.scope.columns.flatMap((column, index) =>
      star === '' || column.source === star ? [{ column, index }] : [],
    );
    if (taken.length === 0) throw new OraError(904, `"${star}": invalid identifier`, at);
    for (const { column, index } of taken) {
      expressions.push({ type: column.type, evaluate: (row) => row[index]! });
      columns.push({ name: column.name, type: column.type });
    }
  }
  return { expressions, columns };
}

/** As the server names a column without alias: its text without blanks, in capitals. */
function nameOf(expression: Expression): string {
  if (expression.kind === 'column') return expression.name;
  if (expression.kind !== 'call') return 'EXPR';
  const inner = expression.star ? '*' : expression.args.map(nameOf).join(',');
  return `${expression.name}(${aggregates.has(expression.name) && expression.distinct ? 'DISTINCT' : ''}${inner})`;
}

function outputOf(expression: Expression, columns: readonly Column[]): number | null {
  if (expression.kind === 'literal' && typeof expression.value === 'bigint') {
    const index = Number(expression.value) - 1;
    if (columns[index] === undefined)
      throw new OraError(1785, 'ORDER BY item must be the number of a SELECT-list expression', expression.at);
    return index;
  }
  if (expression.kind !== 'column' || expression.source !== null) return null;
  const index = columns.findIndex(({ name }) => name === expression.name);
  return index === -1 ? null : index;
}

interface Sortable {
  row: Row;
  source: Row;
  group?: readonly Row[];
}

function sortRows<T extends Sortable>(
  rows: readonly T[],
  sorters: readonly Sorter[],
  environment: Environment,
): T[] {
  if (sorters.length === 0) return [...rows];
  const keyed = rows.map((one) => ({
    one,
    keys: sorters.map(({ output, compiled }) =>
      output === null
        ? compiled!.evaluate(one.source, { ...environment, group: one.group ?? null })
        : one.row[output]!,
    ),
  }));
  keyed.sort((a, b) => {
    for (const [index, { order }] of sorters.entries()) {
      const difference = compareKeys(a.keys[index]!, b.keys[index]!, order);
      if (difference !== 0) return difference;
    }
    return 0;
  });
  return keyed.map(({ one }) => one);
}

/** NULL is the largest, unless the order says otherwise. */
function compareKeys(left: SqlValue, right: SqlValue, { descending, nullsFirst }: Order): number {
  if (left === null || right === null) {
    if (left === right) return 0;
    const first = nullsFirst ?? descending;
    return (left === null) === first ? -1 : 1;
  }
  const difference = compare(left, right) ?? 0;
  return descending ? -difference : difference;
}

interface Limit {
  offset: Compiled | null;
  limit: Compiled | null;
}

function limitOf({ offset, limit }: Query, compiler: Compiler): Limit {
  return {
    offset: offset === null ? null : compile(compiler, offset),
    limit: limit === null ? null : compile(compiler, limit),
  };
}

function limited(query: Query, view: View, scope: Scope): View {
  const limit = limitOf(query, { scope, compileQuery, compileCondition });
  return { columns: view.columns, rows: (environment) => cut(view.rows(environment), limit, environment) };
}

function* cut(rows: Iterable<Row>, { offset, limit }: Limit, environment: Environment): Generator<Row> {
  const count = (part: Compiled | null, otherwise: number): number =>
    part === null ? otherwise : Number(toNumber(part.evaluate([], environment)) ?? 0n);
  const from = count(offset, 0);
  const until = from + count(limit, Infinity);
  let index = 0;
  for (const row of rows) {
    if (index >= until) return;
    if (index >= from) yield row;
    index += 1;
  }
}
