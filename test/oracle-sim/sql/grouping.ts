import { OraError } from '../wire/values.ts';
import { aggregates } from './aggregates.ts';
import type { Expression, Query } from './ast.ts';
import { findPseudoColumn } from './zones.ts';

/** Direct parts of an expression; queries inside it answer for themselves. */
export function partsOf(expression: Expression): Expression[] {
  switch (expression.kind) {
    case 'call':
      return expression.args;
    case 'unary':
    case 'isNull':
    case 'cast':
      return [expression.operand];
    case 'binary':
      return [expression.left, expression.right];
    case 'in':
      return [expression.operand, ...(Array.isArray(expression.list) ? expression.list : [])];
    case 'case': {
      const branches = expression.branches.flatMap(({ when, result }) => [when, result]);
      return expression.otherwise === null ? branches : [...branches, expression.otherwise];
    }
    case 'zone':
      return [expression.operand, expression.zone];
    case 'literal':
    case 'bind':
    case 'column':
    case 'exists':
    case 'scalar':
      return [];
  }
}

function isAggregate(expression: Expression): boolean {
  return expression.kind === 'call' && aggregates.has(expression.name);
}

export function containsAggregate(expression: Expression): boolean {
  return isAggregate(expression) || partsOf(expression).some(containsAggregate);
}

/** Where no `at` is: two expressions that say the same. */
function shape(expression: Expression): string {
  return JSON.stringify(expression, (key, value: unknown) =>
    key === 'at' ? undefined : typeof value === 'bigint' ? `${value}n` : value,
  );
}

/** Every column outside a group function must be one that is grouped by. */
export function checkGrouping({ items, groupBy }: Query): void {
  const shapes = new Set(groupBy.map(shape));
  const check = (expression: Expression): void => {
    if (isAggregate(expression) || shapes.has(shape(expression))) return;
    if (
      expression.kind === 'column' &&
      !(expression.source === null && findPseudoColumn(expression.name) !== undefined)
    ) {
      if (groupBy.length > 0) throw new OraError(979, 'not a GROUP BY expression', expression.at);
      throw new OraError(937, 'not a single-group group function', expression.at);
    }
    for (const part of partsOf(expression)) check(part);
  };
  for (const { expression, at } of items) {
    if (expression === null) throw new OraError(979, 'not a GROUP BY expression', at);
    check(expression);
  }
}
