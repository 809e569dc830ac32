import { OraError, type Column, type ColumnType, type SqlValue } from '../wire/values.ts';
import type { EvaluationContext } from './zones.ts';

export type Row = readonly SqlValue[];

/** What is there while a query runs. */
export interface Environment {
  context: EvaluationContext;
  binds: readonly SqlValue[];
  /** Rows of the queries around this one, the innermost last. */
  outer: readonly Row[];
  /** The rows of a group, while aggregates are computed. */
  group: readonly Row[] | null;
  rowNumber: number;
}

export interface View {
  columns: readonly Column[];
  rows(environment: Environment): Iterable<Row>;
}

/** Names of views and tables; throws the error of a name that may not be read. */
export interface Dictionary {
  find(schema: string | null, name: string): View | null;
  /** Connects to another database, which is not simulated: throws in any case. */
  openLink(name: string, at: number): never;
}

export interface ScopeColumn extends Column {
  source: string;
}

export interface Scope {
  columns: readonly ScopeColumn[];
  parent: Scope | null;
  dictionary: Dictionary;
  named: ReadonlyMap<string, View>;
}

/** Where a column lies: in the row itself (depth 0) or in one of an outer query. */
export function findColumn(
  scope: Scope,
  source: string | null,
  name: string,
  at: number,
): { type: ColumnType; index: number; depth: number } {
  let depth = 0;
  for (let here: Scope | null = scope; here !== null; here = here.parent, depth += 1) {
    const found = here.columns.flatMap((column, index) =>
      column.name === name && (source === null || column.source === source) ? [index] : [],
    );
    if (found.length > 1) throw new OraError(918, 'column ambiguously defined', at);
    if (found.length === 1) return { type: here.columns[found[0]!]!.type, index: found[0]!, depth };
  }
  const written = source === null ? `"${name}"` : `"${source}"."${name}"`;
  throw new OraError(904, `${written}: invalid identifier`, at);
}
