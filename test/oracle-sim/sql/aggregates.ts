import { OraError, type ColumnType, type SqlValue } from '../wire/values.ts';
import type { Expression } from './ast.ts';
import { compare, compareNumbers, toNumber } from './coerce.ts';
import type { Environment, Row } from './scope.ts';

export const aggregates: ReadonlySet<string> = new Set(['COUNT', 'MIN', 'MAX', 'SUM', 'AVG']);

interface Part {
  type: ColumnType;
  evaluate(row: Row, environment: Environment): SqlValue;
}

/** An aggregate reads the rows of its group from the environment. */
export function compileAggregate(call: Expression & { kind: 'call' }, args: readonly Part[]): Part {
  const { name, star, distinct, at } = call;
  if (star ? name !== 'COUNT' : args.length !== 1) throw new OraError(909, 'invalid number of arguments', at);
  const [arg] = args;
  const type: ColumnType = name === 'MIN' || name === 'MAX' ? arg!.type : { kind: 'NUMBER' };
  return {
    type,
    evaluate: (_, environment) => {
      const { group } = environment;
      if (group === null) throw new OraError(934, 'group function is not allowed here', at);
      if (arg === undefined) return BigInt(group.length);
      const inner = { ...environment, group: null };
      const values: SqlValue[] = [];
      for (const row of group) {
        const value = arg.evaluate(row, inner);
        if (value !== null) values.push(value);
      }
      return aggregate(name, distinct ? unique(values) : values);
    },
  };
}

function unique(values: readonly SqlValue[]): SqlValue[] {
  return [...new Map(values.map((value) => [keyOf(value), value])).values()];
}

/** Equal values have equal keys. */
export function keyOf(value: SqlValue): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner));
}

function aggregate(name: string, values: SqlValue[]): SqlValue {
  if (name === 'COUNT') return BigInt(values.length);
  if (values.length === 0) return null;
  if (name === 'MIN' || name === 'MAX') {
    const sign = name === 'MAX' ? 1 : -1;
    return values.reduce((best, one) => (compare(one, best)! * sign > 0 ? one : best));
  }
  const sum = values.reduce<bigint | number>((total, one) => add(total, toNumber(one)!), 0n);
  return name === 'SUM' ? sum : toNumber(Number(sum) / values.length);
}

function add(left: bigint | number, right: bigint | number): bigint | number {
  if (typeof left === 'bigint' && typeof right === 'bigint') return left + right;
  const sum = Number(left) + Number(right);
  return compareNumbers(sum, Math.trunc(sum)) === 0 ? BigInt(sum) : sum;
}
