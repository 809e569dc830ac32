import { OraError, SqlDate, SqlTimestamp, type ColumnType, type SqlValue } from '../wire/values.ts';
import { aggregates, compileAggregate } from './aggregates.ts';
import type { Expression, Query } from './ast.ts';
import { compare, toMoment, toNumber, toText } from './coerce.ts';
import { atOffset, castTo, findFunction, findPseudoColumn, parseOffset, text } from './functions.ts';
import { findColumn, type Environment, type Row, type Scope, type View } from './scope.ts';

export interface Compiled {
  type: ColumnType;
  evaluate(row: Row, environment: Environment): SqlValue;
}

/** true, false, or null: unknown. */
export type Condition = (row: Row, environment: Environment) => boolean | null;

export type CompileQuery = (query: Query, scope: Scope) => View;

export interface Compiler {
  scope: Scope;
  compileQuery: CompileQuery;
}

const number: ColumnType = { kind: 'NUMBER' };

/** Turns an expression into a function of a row, and says its type; an unknown name is an error with its place. */
export function compile(compiler: Compiler, expression: Expression): Compiled {
  switch (expression.kind) {
    case 'literal':
      return compileLiteral(expression.value);
    case 'bind': {
      const { index } = expression;
      return { type: text, evaluate: (_, { binds }) => bindValue(binds, index) };
    }
    case 'column':
      return compileColumn(compiler, expression);
    case 'call':
      return compileCall(compiler, expression);
    case 'unary':
      if (expression.operator === 'not') break;
      return negate(compile(compiler, expression.operand));
    case 'binary':
      return compileArithmetic(compiler, expression);
    case 'case':
      return compileCase(compiler, expression);
    case 'cast': {
      const operand = compile(compiler, expression.operand);
      const { type, size } = expression;
      return {
        type: typeNamed(type, size),
        evaluate: (row, environment) => castTo(operand.evaluate(row, environment), type),
      };
    }
    case 'zone':
      return compileZone(compiler, expression.operand, expression.zone);
    case 'scalar':
      return compileScalar(compiler, expression.query);
    case 'isNull':
    case 'in':
    case 'exists':
  }
  throw new OraError(923, 'FROM keyword not found where expected', expression.at);
}

function bindValue(binds: readonly SqlValue[], index: number): SqlValue {
  const value = binds[index];
  if (value === undefined) throw new OraError(1008, 'not all variables bound');
  return value;
}

function compileLiteral(value: SqlValue): Compiled {
  const evaluate = (): SqlValue => value;
  if (typeof value === 'bigint' || typeof value === 'number') return { type: number, evaluate };
  if (value instanceof SqlDate) return { type: { kind: 'DATE' }, evaluate };
  if (value instanceof SqlTimestamp) {
    return {
      type: { kind: value.offsetMinutes === null ? 'TIMESTAMP' : 'TIMESTAMP WITH TIME ZONE' },
      evaluate,
    };
  }
  return { type: { kind: 'VARCHAR2', size: Math.max(1, toText(value)?.length ?? 1) }, evaluate };
}

function compileColumn(
  { scope }: Compiler,
  { source, name, at }: { source: string | null; name: string; at: number },
): Compiled {
  if (source === null && name === 'ROWNUM')
    return { type: number, evaluate: (_, { rowNumber }) => BigInt(rowNumber) };
  const pseudo = source === null ? findPseudoColumn(name) : undefined;
  if (pseudo !== undefined) return { type: pseudo.type, evaluate: (_, { context }) => pseudo.read(context) };
  const { type, index, depth } = findColumn(scope, source, name, at);
  if (depth === 0) return { type, evaluate: (row) => row[index]! };
  return { type, evaluate: (_, { outer }) => outer.at(-depth)![index]! };
}

function compileCall(compiler: Compiler, call: Expression & { kind: 'call' }): Compiled {
  if (aggregates.has(call.name))
    return compileAggregate(
      call,
      call.args.map((arg) => compile(compiler, arg)),
    );
  const found = call.name === 'LIKE' ? undefined : findFunction(call.name.replace(/^(SYS\.)?STANDARD\./, ''));
  if (found === undefined)
    throw new OraError(904, `"${call.name.replace('.', '"."')}": invalid identifier`, call.at);
  const [least, most] = found.counts;
  if (call.star || call.args.length < least) throw new OraError(909, 'invalid number of arguments', call.at);
  if (call.args.length > most) throw new OraError(939, 'too many arguments for function', call.at);
  const args = call.args.map((arg) => compile(compiler, arg));
  return {
    type: found.type(args.map(({ type }) => type)),
    evaluate: (row, environment) =>
      found.call(
        args.map((arg) => arg.evaluate(row, environment)),
        environment.context,
      ),
  };
}

function negate(operand: Compiled): Compiled {
  return {
    type: number,
    evaluate: (row, environment) => {
      const value = toNumber(operand.evaluate(row, environment));
      return value === null ? null : -value;
    },
  };
}

function compileArithmetic(compiler: Compiler, expression: Expression & { kind: 'binary' }): Compiled {
  const { operator, at } = expression;
  if (!['+', '-', '*', '/', '||'].includes(operator))
    throw new OraError(923, 'FROM keyword not found where expected', at);
  const left = compile(compiler, expression.left);
  const right = compile(compiler, expression.right);
  if (operator === '||') {
    const evaluate = (row: Row, environment: Environment): SqlValue =>
      `${toText(left.evaluate(row, environment)) ?? ''}${toText(right.evaluate(row, environment)) ?? ''}` ||
      null;
    return { type: text, evaluate };
  }
  const dated = [left, right].filter(({ type }) => type.kind === 'DATE').length;
  if (dated > 0) return compileDateSum(left, right, operator, dated);
  return {
    type: number,
    evaluate: (row, environment) =>
      calculate(
        operator,
        toNumber(left.evaluate(row, environment)),
        toNumber(right.evaluate(row, environment)),
      ),
  };
}

function calculate(operator: string, left: bigint | number | null, right: bigint | number | null): SqlValue {
  if (left === null || right === null) return null;
  if (operator === '/') {
    if (Number(right) === 0) throw new OraError(1476, 'divisor is equal to zero');
    if (typeof left === 'bigint' && typeof right === 'bigint' && left % right === 0n) return left / right;
    return toNumber(Number(left) / Number(right));
  }
  if (typeof left === 'bigint' && typeof right === 'bigint') {
    return operator === '+' ? left + right : operator === '-' ? left - right : left * right;
  }
  const [a, b] = [Number(left), Number(right)];
  return toNumber(operator === '+' ? a + b : operator === '-' ? a - b : a * b);
}

/** A date and days, or the days between two dates. */
function compileDateSum(left: Compiled, right: Compiled, operator: string, dated: number): Compiled {
  if (operator === '*' || operator === '/')
    throw new OraError(932, 'inconsistent datatypes: expected NUMBER got DATE');
  const sign = operator === '-' ? -1 : 1;
  return {
    type: dated === 2 ? number : { kind: 'DATE' },
    evaluate: (row, environment) => {
      const [a, b] = [left.evaluate(row, environment), right.evaluate(row, environment)];
      if (a === null || b === null) return null;
      if (dated === 2) return toNumber((toMoment(a)!.seconds - toMoment(b)!.seconds) / 86_400);
      const [day, days] = left.type.kind === 'DATE' ? [a, b] : [b, a];
      return new SqlDate(toMoment(day)!.seconds + Math.round(sign * Number(toNumber(days)) * 86_400));
    },
  };
}

function compileCase(compiler: Compiler, { branches, otherwise }: Expression & { kind: 'case' }): Compiled {
  const compiled = branches.map(({ when, result }) => ({
    when: compileCondition(compiler, when),
    result: compile(compiler, result),
  }));
  const last = otherwise === null ? null : compile(compiler, otherwise);
  const evaluate = (row: Row, environment: Environment): SqlValue => {
    const found = compiled.find(({ when }) => when(row, environment) === true)?.result ?? last;
    return found?.evaluate(row, environment) ?? null;
  };
  const type = compiled[0]?.result.type ?? text;
  return { type: type.kind === 'VARCHAR2' ? text : type, evaluate };
}

function compileZone(compiler: Compiler, operand: Expression, zone: Expression): Compiled {
  const moment = compile(compiler, operand);
  const wanted = compile(compiler, zone);
  return {
    type: { kind: 'TIMESTAMP WITH TIME ZONE' },
    evaluate: (row, environment) => {
      const value = moment.evaluate(row, environment);
      if (value === null) return null;
      if (!(value instanceof SqlTimestamp))
        throw new OraError(30084, 'invalid data type for datetime primary with time zone modifier');
      const offset = value.offsetMinutes ?? environment.context.sessionOffsetMinutes;
      const zoned = new SqlTimestamp(value.seconds, value.nanoseconds, offset);
      return atOffset(zoned, parseOffset(toText(wanted.evaluate(row, environment)) ?? ''));
    },
  };
}

function compileScalar({ scope, compileQuery }: Compiler, query: Query): Compiled {
  const view = compileQuery(query, scope);
  if (view.columns.length !== 1) throw new OraError(913, 'too many values');
  const evaluate = (row: Row, environment: Environment): SqlValue => {
    const rows = [...view.rows({ ...environment, group: null, outer: [...environment.outer, row] })];
    if (rows.length > 1) throw new OraError(1427, 'single-row subquery returns more than one row');
    return rows[0]?.[0] ?? null;
  };
  return { type: view.columns[0]!.type, evaluate };
}

function typeNamed(name: string, size: number): ColumnType {
  if (name === 'NUMBER' || name === 'INTEGER') return number;
  if (name === 'DATE' || name === 'TIMESTAMP') return { kind: name };
  if (name === 'VARCHAR2' || name === 'CHAR') return { kind: 'VARCHAR2', size: size || 1 };
  throw new OraError(902, 'invalid datatype');
}

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
