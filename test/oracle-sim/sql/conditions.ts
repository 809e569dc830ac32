import { OraError } from '../wire/values.ts';
import type { Expression } from './ast.ts';
import { compare, toText } from './coerce.ts';
import { compile, type Compiler, type Condition } from './compile.ts';

/** A condition: what may stand after WHERE, ON, HAVING and WHEN. */
export function compileCondition(compiler: Compiler, expression: Expression): Condition {
  switch (expression.kind) {
    case 'binary':
      if (expression.operator === 'and' || expression.operator === 'or')
        return compileLogic(compiler, expression);
      return compileComparison(compiler, expression);
    case 'unary': {
      if (expression.operator !== 'not') break;
      const operand = compileCondition(compiler, expression.operand);
      return (row, environment) => {
        const value = operand(row, environment);
        return value === null ? null : !value;
      };
    }
    case 'isNull': {
      const operand = compile(compiler, expression.operand);
      return (row, environment) => (operand.evaluate(row, environment) === null) !== expression.negated;
    }
    case 'in':
      return compileIn(compiler, expression);
    case 'exists': {
      const view = compiler.compileQuery(expression.query, compiler.scope);
      return (row, environment) => {
        for (const _ of view.rows({ ...environment, outer: [...environment.outer, row] })) return true;
        return false;
      };
    }
    case 'call':
      if (expression.name === 'LIKE') return compileLike(compiler, expression.args);
      break;
    case 'literal':
    case 'bind':
    case 'column':
    case 'case':
    case 'cast':
    case 'zone':
    case 'scalar':
  }
  throw new OraError(920, 'invalid relational operator', expression.at);
}

function compileLogic(
  compiler: Compiler,
  { operator, left, right }: Expression & { kind: 'binary' },
): Condition {
  const first = compileCondition(compiler, left);
  const second = compileCondition(compiler, right);
  const decides = operator === 'or';
  return (row, environment) => {
    const a = first(row, environment);
    if (a === decides) return decides;
    const b = second(row, environment);
    if (b === decides) return decides;
    return a === null || b === null ? null : !decides;
  };
}

function compileComparison(
  compiler: Compiler,
  { operator, left, right, at }: Expression & { kind: 'binary' },
): Condition {
  const test: ((order: number) => boolean) | undefined = {
    '=': (order: number) => order === 0,
    '<>': (order: number) => order !== 0,
    '<': (order: number) => order < 0,
    '<=': (order: number) => order <= 0,
    '>': (order: number) => order > 0,
    '>=': (order: number) => order >= 0,
  }[operator];
  if (test === undefined) throw new OraError(920, 'invalid relational operator', at);
  const first = compile(compiler, left);
  const second = compile(compiler, right);
  return (row, environment) => {
    const order = compare(first.evaluate(row, environment), second.evaluate(row, environment));
    return order === null ? null : test(order);
  };
}

function compileIn(compiler: Compiler, { operand, list }: Expression & { kind: 'in' }): Condition {
  const tested = compile(compiler, operand);
  const candidates = Array.isArray(list) ? list.map((one) => compile(compiler, one)) : null;
  const view = Array.isArray(list) ? null : compiler.compileQuery(list, compiler.scope);
  return (row, environment) => {
    const value = tested.evaluate(row, environment);
    const inner = { ...environment, outer: [...environment.outer, row] };
    const found =
      candidates?.map((one) => one.evaluate(row, environment)) ??
      Array.from(view!.rows(inner), ([first]) => first ?? null);
    const orders = found.map((one) => compare(value, one));
    if (orders.includes(0)) return true;
    return orders.includes(null) ? null : false;
  };
}

function compileLike(compiler: Compiler, args: readonly Expression[]): Condition {
  const [value, pattern, escape] = args.map((arg) => compile(compiler, arg));
  return (row, environment) => {
    const tested = toText(value!.evaluate(row, environment));
    const wanted = toText(pattern!.evaluate(row, environment));
    if (tested === null || wanted === null) return null;
    const mark = escape === undefined ? null : toText(escape.evaluate(row, environment));
    return likePattern(wanted, mark).test(tested);
  };
}

function likePattern(pattern: string, escape: string | null): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const one = pattern[at]!;
    if (one === escape) {
      at += 1;
      source += escapePattern(pattern[at] ?? '');
    } else source += one === '%' ? '[^]*' : one === '_' ? '[^]' : escapePattern(one);
  }
  return new RegExp(`^${source}$`);
}

function escapePattern(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}
