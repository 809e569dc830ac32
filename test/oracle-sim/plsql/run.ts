import { OraError, type SqlValue } from '../wire/values.ts';
import type { Block, PathPart, PlsqlExpression, Statement } from './ast.ts';
import { isList, isRecord, numberOf, textOf, toScalar, type Argument, type PlsqlValue } from './values.ts';

/** What a block finds outside of itself. */
export interface PlsqlHost {
  /** A routine by its whole name: PACKAGE.NAME, or NAME of a built-in; undefined: PLS-00201. */
  routine: (name: string) => Routine | undefined;
  constant: (name: string) => PlsqlValue | undefined;
  executeSql: (sql: string) => Promise<void>;
}

export interface Routine {
  /** In the order of their positions; a trailing ? : it has a default. */
  parameters: readonly string[];
  run: (args: Readonly<Record<string, Argument | undefined>>) => PlsqlValue | Promise<PlsqlValue>;
}

export interface Binds {
  values: Map<string, SqlValue>;
  written: Map<string, SqlValue>;
}

class Exit extends Error {}

export class BlockRunner {
  readonly #host: PlsqlHost;
  readonly #binds: Binds;
  readonly #scopes: Map<string, PlsqlValue>[] = [];
  readonly #raised: OraError[] = [];

  constructor(host: PlsqlHost, binds: Binds) {
    this.#host = host;
    this.#binds = binds;
  }

  async runBlock({ variables, body, handler }: Block): Promise<void> {
    const scope = new Map<string, PlsqlValue>();
    this.#scopes.push(scope);
    try {
      for (const { name, value } of variables) {
        scope.set(name, value === null ? null : await this.#evaluate(value));
      }
      await this.#runAll(body);
    } catch (error) {
      if (handler === null || !(error instanceof OraError)) throw error;
      this.#raised.push(error);
      await this.#runAll(handler);
      this.#raised.pop();
    } finally {
      this.#scopes.pop();
    }
  }

  async #runAll(statements: readonly Statement[]): Promise<void> {
    for (const statement of statements) await this.#run(statement);
  }

  async #run(statement: Statement): Promise<void> {
    switch (statement.kind) {
      case 'null':
        return;
      case 'block':
        return this.runBlock(statement.block);
      case 'assign':
        this.#assign(statement.to, await this.#evaluate(statement.value));
        return;
      case 'call':
        await this.#evaluate(statement.path);
        return;
      case 'execute':
        return this.#host.executeSql(textOf(await this.#evaluate(statement.sql)) ?? '');
      case 'raise':
        throw this.#raised.at(-1) ?? new OraError(6510, 'PL/SQL: unhandled user-defined exception');
      case 'exit':
        if (statement.when === null || (await this.#evaluate(statement.when)) === true) throw new Exit();
        return;
      case 'if':
        for (const { when, body } of statement.branches) {
          if (when !== null && (await this.#evaluate(when)) !== true) continue;
          return this.#runAll(body);
        }
        return;
      case 'while':
        return this.#loop(async () => {
          if ((await this.#evaluate(statement.when)) !== true) throw new Exit();
          await this.#runAll(statement.body);
        });
      case 'for':
        return this.#count(statement);
    }
  }

  async #loop(round: () => Promise<void>): Promise<void> {
    try {
      for (;;) await round();
    } catch (error) {
      if (!(error instanceof Exit)) throw error;
    }
  }

  async #count(statement: Extract<Statement, { kind: 'for' }>): Promise<void> {
    const from = numberOf(await this.#evaluate(statement.from)) ?? 0;
    const to = numberOf(await this.#evaluate(statement.to)) ?? -1;
    let now = from;
    const scope = new Map<string, PlsqlValue>();
    this.#scopes.push(scope);
    await this.#loop(async () => {
      if (now > to) throw new Exit();
      scope.set(statement.name, BigInt(now));
      await this.#runAll(statement.body);
      now += 1;
    });
    this.#scopes.pop();
  }

  #assign(to: PlsqlExpression, value: PlsqlValue): void {
    if (to.kind === 'bind') {
      this.#binds.values.set(to.name, toScalar(value));
      this.#binds.written.set(to.name, toScalar(value));
      return;
    }
    const name =
      to.kind === 'path' && to.parts.length === 1 && to.parts[0]?.kind === 'name' ? to.parts[0].name : '';
    const scope = this.#scopes.findLast((one) => one.has(name));
    if (scope === undefined) throw unknownName(name);
    scope.set(name, value);
  }

  async #evaluate(expression: PlsqlExpression): Promise<PlsqlValue> {
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'bind':
        return this.#binds.values.get(expression.name) ?? null;
      case 'isNull': {
        const value = await this.#evaluate(expression.operand);
        return (value === null || value === '') !== expression.negated;
      }
      case 'unary': {
        const value = await this.#evaluate(expression.operand);
        if (expression.operator === 'NOT') return value === null ? null : value !== true;
        const number = numberOf(value);
        return number === null ? null : toNumberValue(-number);
      }
      case 'binary':
        return this.#evaluateBinary(expression);
      case 'path':
        return this.#evaluatePath(expression.parts);
    }
  }

  async #evaluateBinary({
    operator,
    left,
    right,
  }: Extract<PlsqlExpression, { kind: 'binary' }>): Promise<PlsqlValue> {
    const a = await this.#evaluate(left);
    if (operator === 'AND' && a === false) return false;
    if (operator === 'OR' && a === true) return true;
    const b = await this.#evaluate(right);
    if (operator === 'AND') return b === false ? false : a === true && b === true ? true : null;
    if (operator === 'OR') return b === true ? true : a === false && b === false ? false : null;
    if (operator === '||') return `${textOf(a) ?? ''}${textOf(b) ?? ''}` || null;
    if (a === null || b === null) return null;
    if (/^[-+*/]$/.test(operator)) return arithmetic(operator, numberOf(a) ?? 0, numberOf(b) ?? 0);
    const numeric = typeof a !== 'string' || typeof b !== 'string';
    return compareBy(operator, numeric ? (numberOf(a) ?? 0) - (numberOf(b) ?? 0) : order(a, b));
  }

  async #evaluatePath(parts: readonly PathPart[]): Promise<PlsqlValue> {
    const first = parts[0];
    const name = first?.kind === 'name' ? first.name : '';
    if (name === 'SQLERRM' && parts.length === 1) return this.#raised.at(-1)?.message ?? null;
    if (name === 'SQLCODE' && parts.length === 1) return BigInt(-(this.#raised.at(-1)?.code ?? 0));
    const scope = this.#scopes.findLast((one) => one.has(name));
    if (scope !== undefined) return this.#walk(scope.get(name) ?? null, parts.slice(1));
    const names: string[] = [];
    for (const part of parts) {
      if (part.kind === 'arguments') break;
      names.push(part.name);
    }
    const full = names.join('.').replace(/^SYS\./, '');
    const constant = this.#host.constant(full);
    if (constant !== undefined) return constant;
    const routine = this.#host.routine(full);
    if (routine === undefined) throw unknownName(full);
    const call = parts[names.length];
    const value = await routine.run(await this.#bindArguments(full, routine, call));
    return this.#walk(value, parts.slice(names.length + 1));
  }

  async #bindArguments(
    name: string,
    { parameters }: Routine,
    call: PathPart | undefined,
  ): Promise<Record<string, Argument>> {
    const given: Record<string, Argument> = {};
    const names = parameters.map((parameter) => parameter.replace(/\?$/, ''));
    const wrong = (): OraError =>
      new OraError(
        6550,
        `line 1, column 1:\nPLS-00306: wrong number or types of arguments in call to '${name.split('.').at(-1)}'`,
      );
    for (const [index, argument] of (call?.kind === 'arguments' ? call.list : []).entries()) {
      const parameter = argument.name ?? names[index];
      if (parameter === undefined || !names.includes(parameter) || given[parameter] !== undefined)
        throw wrong();
      const settable = argument.value.kind === 'bind' || argument.value.kind === 'path';
      given[parameter] = {
        value: await this.#evaluate(argument.value),
        ...(settable ? { set: (value: PlsqlValue) => this.#assign(argument.value, value) } : {}),
      };
    }
    const missing = parameters.some(
      (parameter) => !parameter.endsWith('?') && given[parameter] === undefined,
    );
    if (missing) throw wrong();
    return given;
  }

  async #walk(from: PlsqlValue, parts: readonly PathPart[]): Promise<PlsqlValue> {
    let value = from;
    for (let index = 0; index < parts.length; index += 1) {
      const part = parts[index]!; // below the length
      if (part.kind === 'arguments') {
        const key = numberOf(await this.#evaluate(part.list[0]!.value));
        if (!isList(value)) throw new OraError(6531, 'Reference to uninitialized collection');
        const item = value.items.get(key ?? -1);
        if (item === undefined) throw new OraError(1403, 'no data found');
        value = item;
      } else if (isRecord(value)) {
        if (!value.fields.has(part.name)) {
          throw new OraError(6550, `line 1, column 1:\nPLS-00302: component '${part.name}' must be declared`);
        }
        value = value.fields.get(part.name) ?? null;
      } else {
        const next = parts[index + 1];
        const key = next?.kind === 'arguments' ? numberOf(await this.#evaluate(next.list[0]!.value)) : null;
        if (next?.kind === 'arguments') index += 1;
        value = collectionMethod(value, part.name, key);
      }
    }
    return value;
  }
}

/** FIRST, LAST, COUNT, NEXT(i), PRIOR(i), EXISTS(i). A collection that was never filled raises ORA-06531. */
function collectionMethod(value: PlsqlValue, method: string, key: number | null): PlsqlValue {
  if (!isList(value)) throw new OraError(6531, 'Reference to uninitialized collection');
  const keys = [...value.items.keys()].sort((a, b) => a - b);
  const index = (found: number | undefined): PlsqlValue => (found === undefined ? null : BigInt(found));
  switch (method) {
    case 'FIRST':
      return index(keys[0]);
    case 'LAST':
      return index(keys.at(-1));
    case 'COUNT':
      return BigInt(keys.length);
    case 'NEXT':
      return index(keys.find((one) => key !== null && one > key));
    case 'PRIOR':
      return index(keys.findLast((one) => key !== null && one < key));
    case 'EXISTS':
      return key !== null && value.items.has(key);
    default:
      throw new OraError(6550, `line 1, column 1:\nPLS-00302: component '${method}' must be declared`);
  }
}

function arithmetic(operator: string, a: number, b: number): PlsqlValue {
  if (operator === '/' && b === 0) throw new OraError(1476, 'divisor is equal to zero');
  return toNumberValue(
    operator === '+' ? a + b : operator === '-' ? a - b : operator === '*' ? a * b : a / b,
  );
}

function toNumberValue(number: number): PlsqlValue {
  return Number.isInteger(number) ? BigInt(number) : number;
}

function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function compareBy(operator: string, difference: number): boolean {
  switch (operator) {
    case '=':
      return difference === 0;
    case '<':
      return difference < 0;
    case '>':
      return difference > 0;
    case '<=':
      return difference <= 0;
    case '>=':
      return difference >= 0;
    default:
      return difference !== 0;
  }
}

export function unknownName(name: string): OraError {
  return new OraError(
    6550,
    `line 1, column 7:\nPLS-00201: identifier '${name}' must be declared\nORA-06550: line 1, column 7:\nPL/SQL: Statement ignored`,
    6,
  );
}
