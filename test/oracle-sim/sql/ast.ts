import type { SqlValue } from '../wire/values.ts';

/** `at` is the position in the text, for errors. */
export type Expression =
  | { kind: 'literal'; value: SqlValue; at: number }
  | { kind: 'bind'; index: number; at: number }
  | { kind: 'column'; source: string | null; name: string; at: number }
  | { kind: 'call'; name: string; args: Expression[]; star: boolean; distinct: boolean; at: number }
  | { kind: 'unary'; operator: 'not' | '-'; operand: Expression; at: number }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression; at: number }
  | { kind: 'isNull'; operand: Expression; negated: boolean; at: number }
  | { kind: 'in'; operand: Expression; list: Expression[] | Query; negated: boolean; at: number }
  | {
      kind: 'case';
      branches: { when: Expression; result: Expression }[];
      otherwise: Expression | null;
      at: number;
    }
  | { kind: 'cast'; operand: Expression; type: string; size: number; at: number }
  | { kind: 'zone'; operand: Expression; zone: Expression; at: number }
  | { kind: 'exists'; query: Query; at: number }
  | { kind: 'scalar'; query: Query; at: number };

export interface SelectItem {
  expression: Expression | null;
  /** `*` or `alias.*`: expression is null. */
  star: string | null;
  alias: string | null;
  text: string;
  at: number;
}

export interface Source {
  schema: string | null;
  name: string;
  /** After @: the database that holds it. */
  link: string | null;
  query: Query | null;
  alias: string | null;
  join: 'cross' | 'inner' | 'left';
  on: Expression | null;
  at: number;
}

export interface Order {
  expression: Expression;
  descending: boolean;
  nullsFirst: boolean | null;
}

export interface Query {
  distinct: boolean;
  items: SelectItem[];
  sources: Source[];
  where: Expression | null;
  groupBy: Expression[];
  having: Expression | null;
  union: Query | null;
  orderBy: Order[];
  offset: Expression | null;
  limit: Expression | null;
  named: Map<string, Query>;
}
