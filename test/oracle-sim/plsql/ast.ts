export type PlsqlExpression =
  | { kind: 'literal'; value: string | bigint | number | boolean | null }
  | { kind: 'bind'; name: string }
  | { kind: 'path'; parts: PathPart[]; at: number }
  | { kind: 'unary'; operator: 'NOT' | '-'; operand: PlsqlExpression }
  | { kind: 'binary'; operator: string; left: PlsqlExpression; right: PlsqlExpression }
  | { kind: 'isNull'; operand: PlsqlExpression; negated: boolean };

/** A name, a member of it, or a call or index. */
export type PathPart =
  | { kind: 'name'; name: string }
  | { kind: 'arguments'; list: { name: string | null; value: PlsqlExpression }[] };

export type Statement =
  | { kind: 'null' }
  | { kind: 'assign'; to: PlsqlExpression; value: PlsqlExpression }
  | { kind: 'call'; path: Extract<PlsqlExpression, { kind: 'path' }> }
  | { kind: 'if'; branches: { when: PlsqlExpression | null; body: Statement[] }[] }
  | { kind: 'while'; when: PlsqlExpression; body: Statement[] }
  | { kind: 'for'; name: string; from: PlsqlExpression; to: PlsqlExpression; body: Statement[] }
  | { kind: 'exit'; when: PlsqlExpression | null }
  | { kind: 'execute'; sql: PlsqlExpression }
  | { kind: 'raise' }
  | { kind: 'block'; block: Block };

export interface Block {
  variables: { name: string; value: PlsqlExpression | null }[];
  body: Statement[];
  /** WHEN OTHERS; null: there is none. */
  handler: Statement[] | null;
}
