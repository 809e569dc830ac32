import { OraError, type SqlValue } from '../wire/values.ts';
import type { Expression, Query, Source } from './ast.ts';
import type { CompileQuery, Condition } from './compile.ts';
import { compileCondition } from './conditions.ts';
import type { Environment, Row, Scope, ScopeColumn, View } from './scope.ts';

interface Joined {
  view: View;
  width: number;
  left: boolean;
  on: Condition | null;
  /** Columns that must be equal: of what stands before, and of this source. */
  equal: { before: number; here: number }[];
}

/** The rows of FROM: equalities between two columns are looked up, everything else is tried row by row. */
export function compileSources(
  query: Query,
  outer: Scope,
  compileQuery: CompileQuery,
): { columns: ScopeColumn[]; rows(environment: Environment): Iterable<Row> } {
  const columns: ScopeColumn[] = [];
  const joined: Joined[] = [];
  for (const source of query.sources) {
    const view = findView(source, outer, compileQuery);
    const name = source.alias ?? source.name;
    const before = columns.length;
    columns.push(...view.columns.map((column) => ({ ...column, source: name })));
    const scope: Scope = { ...outer, columns: [...columns], parent: outer };
    const on =
      source.on === null ? null : compileCondition({ scope, compileQuery, compileCondition }, source.on);
    const conditions = [...conjuncts(source.on), ...(source.join === 'left' ? [] : conjuncts(query.where))];
    joined.push({
      view,
      width: view.columns.length,
      left: source.join === 'left',
      on,
      equal: equalColumns(conditions, columns, before),
    });
  }
  const rows = (environment: Environment): Iterable<Row> => {
    let found: Iterable<Row> | null = null;
    for (const join of joined)
      found = found === null ? join.view.rows(environment) : joinRows(found, join, environment);
    return found ?? [[]];
  };
  return { columns, rows };
}

function findView(source: Source, scope: Scope, compileQuery: CompileQuery): View {
  if (source.query !== null) return compileQuery(source.query, scope);
  if (source.link !== null) scope.dictionary.openLink(source.link, source.at);
  const named = source.schema === null ? scope.named.get(source.name) : undefined;
  const view = named ?? scope.dictionary.find(source.schema, source.name);
  if (view === null) throw new OraError(942, 'table or view does not exist', source.at);
  return view;
}

function conjuncts(expression: Expression | null): Expression[] {
  if (expression === null) return [];
  if (expression.kind !== 'binary' || expression.operator !== 'and') return [expression];
  return [...conjuncts(expression.left), ...conjuncts(expression.right)];
}

function equalColumns(
  conditions: Expression[],
  columns: ScopeColumn[],
  before: number,
): { before: number; here: number }[] {
  const indexOf = (expression: Expression): number => {
    if (expression.kind !== 'column') return -1;
    const { name, source } = expression;
    const matches = columns.flatMap((column, index) =>
      column.name === name && (source === null || column.source === source) ? [index] : [],
    );
    return matches.length === 1 ? matches[0]! : -1;
  };
  return conditions.flatMap((condition) => {
    if (condition.kind !== 'binary' || condition.operator !== '=') return [];
    const sides = [indexOf(condition.left), indexOf(condition.right)].sort((a, b) => a - b);
    const [low = -1, high = -1] = sides;
    if (low === -1 || low >= before || high < before) return [];
    return columns[low]!.type.kind === columns[high]!.type.kind ? [{ before: low, here: high - before }] : [];
  });
}

function* joinRows(left: Iterable<Row>, join: Joined, environment: Environment): Generator<Row> {
  const rows = [...join.view.rows(environment)];
  const index = new Map<string, Row[]>();
  if (join.equal.length > 0) {
    for (const row of rows) {
      const key = joinKey(join.equal.map(({ here }) => row[here]!));
      if (key !== null) index.set(key, [...(index.get(key) ?? []), row]);
    }
  }
  const nothing: Row = Array.from({ length: join.width }, () => null);
  for (const row of left) {
    const key = joinKey(join.equal.map(({ before }) => row[before]!));
    const candidates = join.equal.length === 0 ? rows : key === null ? [] : (index.get(key) ?? []);
    let matched = false;
    for (const candidate of candidates) {
      const both = [...row, ...candidate];
      if (join.on !== null && join.on(both, environment) !== true) continue;
      matched = true;
      yield both;
    }
    if (join.left && !matched) yield [...row, ...nothing];
  }
}

function joinKey(values: readonly SqlValue[]): string | null {
  return values.includes(null)
    ? null
    : values.map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value))).join('|');
}
