import { ClonaError } from '../errors.ts';
import { splitSql } from '../kit/split-sql.ts';

/** What a query must give. */
export type Expectation =
  | { kind: 'rows'; operator: Operator; count: number }
  | { kind: 'value'; operator: Operator; value: string };

export type Operator = '=' | '<>' | '<' | '<=' | '>' | '>=';

export interface SqlCheck {
  name: string;
  line: number;
  sql: string;
  expectation: Expectation;
}

/** A statement that is no check: it fails, so that nobody believes in a check that is none. */
export interface SqlMistake {
  name: string;
  line: number;
  message: string;
}

const grammar =
  'say what it must give: "-- expect: no rows", "3 rows", "at least 1 row", "value 42", "value >= 10" or "true"';

/** Reads the checks of a file. Comments before a statement are `check: NAME` and `expect: …`. */
export function parseSqlChecks(text: string): (SqlCheck | SqlMistake)[] {
  let split: ReturnType<typeof splitSql>;
  try {
    split = splitSql(text);
  } catch (error) {
    if (!(error instanceof ClonaError)) throw error;
    return [{ name: 'the file can be read', line: 1, message: error.message }];
  }
  return split.statements.map(({ text: sql, line, comments }) => {
    const said = (key: string): string | undefined => {
      const found = comments.map((comment) => new RegExp(`^${key}:\\s*(.*)$`, 'i').exec(comment.text)?.[1]);
      return found.filter((value) => value !== undefined).at(-1);
    };
    const name =
      said('check') ??
      comments
        .at(-1)
        ?.text.replace(/^expect:.*$/i, '')
        .trim() ??
      '';
    const named = { name: name === '' ? `line ${line}` : name, line };
    const expect = said('expect');
    if (expect === undefined) return { ...named, message: `has no expectation: ${grammar}` };
    const expectation = parseExpectation(expect);
    return expectation === undefined
      ? { ...named, message: `"${expect}" is no expectation: ${grammar}` }
      : { ...named, sql, expectation };
  });
}

/** Undefined: not understood. */
export function parseExpectation(text: string): Expectation | undefined {
  const words = text.trim().replace(/\.$/, '');
  if (/^(?:no|0) rows?$|^empty$/i.test(words)) return { kind: 'rows', operator: '=', count: 0 };
  const [, least, count] = /^(at least |at most |)(\d{1,15}) rows?$/i.exec(words) ?? [];
  if (count !== undefined) {
    const operator = least === '' ? '=' : least?.toLowerCase() === 'at least ' ? '>=' : '<=';
    return { kind: 'rows', operator, count: Number(count) };
  }
  const [, compare, bound] = /^rows\s*(=|<>|<=|>=|<|>)\s*(\d{1,15})$/i.exec(words) ?? [];
  if (bound !== undefined) return { kind: 'rows', operator: compare as Operator, count: Number(bound) };
  if (/^(?:true|false)$/i.test(words)) return { kind: 'value', operator: '=', value: words.toLowerCase() };
  const [, operator, value] = /^value\s*(=|<>|<=|>=|<|>)?\s*(.+)$/i.exec(words) ?? [];
  if (value === undefined) return undefined;
  return { kind: 'value', operator: (operator ?? '=') as Operator, value: value.replace(/^'(.*)'$/, '$1') };
}

/** Compares; the answer is null when it fits, else what was found. Values come as text, as the server writes them. */
export function judge(
  expectation: Expectation,
  found: { rows: number; columns: number; first: string | null },
): string | null {
  if (expectation.kind === 'rows') {
    const { operator, count } = expectation;
    return compareNumbers(BigInt(found.rows), operator, BigInt(count))
      ? null
      : `expected ${showRows(operator, count)}, found ${found.rows}`;
  }
  const { operator, value } = expectation;
  if (found.rows !== 1 || found.columns !== 1) {
    return `expected one value, found ${found.rows} rows of ${found.columns} columns`;
  }
  if (found.first === null)
    return value.toLowerCase() === 'null' && operator === '=' ? null : 'expected a value, found null';
  return compareTexts(found.first, operator, value)
    ? null
    : `expected ${operator === '=' ? '' : `${operator} `}${value}, found ${found.first}`;
}

function showRows(operator: Operator, count: number): string {
  if (operator === '=') return count === 0 ? 'no rows' : `${count} rows`;
  return `${operator} ${count} rows`;
}

/** Numbers are compared as numbers, exactly: 0.00 is 0, and 9007199254740993 is not ...992. */
function compareTexts(found: string, operator: Operator, expected: string): boolean {
  const left = toScaled(found);
  const right = toScaled(expected);
  if (left !== undefined && right !== undefined) {
    const digits = Math.max(left.scale, right.scale);
    const raise = ({ units, scale }: Scaled): bigint => units * 10n ** BigInt(digits - scale);
    return compareNumbers(raise(left), operator, raise(right));
  }
  const boolean: Readonly<Record<string, string>> = { t: 'true', f: 'false' };
  const order = Buffer.compare(Buffer.from(boolean[found] ?? found), Buffer.from(expected));
  return compareNumbers(BigInt(order), operator, 0n);
}

interface Scaled {
  units: bigint;
  scale: number;
}

function toScaled(text: string): Scaled | undefined {
  const [, sign, whole, fraction = ''] = /^([-+]?)(\d{1,400})(?:\.(\d{0,400}))?$/.exec(text.trim()) ?? [];
  if (whole === undefined) return undefined;
  const units = BigInt(whole + fraction);
  return { units: sign === '-' ? -units : units, scale: fraction.length };
}

function compareNumbers(left: bigint, operator: Operator, right: bigint): boolean {
  switch (operator) {
    case '=':
      return left === right;
    case '<>':
      return left !== right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    default:
      return operator satisfies never;
  }
}
