import { OraError, SqlDate, SqlTimestamp, type ColumnType, type SqlValue } from '../wire/values.ts';
import { aggregates, compileAggregate } from './aggregates.ts';
import type { Expression, Query } from './ast.ts';
import { toMoment, toNumber, toText } from './coerce.ts';
import { castTo, findFunction, text } from './functions.ts';
import { atOffset, findPseudoColumn, parseOffset } from './zones.ts';
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
  /** What may stand after WHEN. */
  compileCondition(compiler: Compiler, expression: Expression): Condition;
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
    when: compiler.compileCondition(compiler, when),
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
