import type { Routine } from './run.ts';
import { numberOf, textOf, type PlsqlValue } from './values.ts';

/** Built-in functions that blocks of clients use; everything else is PLS-00201. */
export const builtins: Readonly<Record<string, Routine>> = {
  TO_CHAR: { parameters: ['VALUE'], run: ({ VALUE }) => textOf(VALUE!.value) },
  TO_NUMBER: { parameters: ['VALUE'], run: ({ VALUE }) => whole(numberOf(VALUE!.value)) },
  CHR: {
    parameters: ['CODE'],
    run: ({ CODE }) => String.fromCodePoint(numberOf(CODE!.value) ?? 32),
  },
  LENGTH: { parameters: ['TEXT'], run: ({ TEXT }) => whole(textOf(TEXT!.value)?.length ?? null) },
  UPPER: { parameters: ['TEXT'], run: ({ TEXT }) => textOf(TEXT!.value)?.toUpperCase() ?? null },
  NVL: {
    parameters: ['VALUE', 'INSTEAD'],
    run: ({ VALUE, INSTEAD }) =>
      VALUE!.value === null || VALUE!.value === '' ? INSTEAD!.value : VALUE!.value,
  },
  SUBSTR: {
    parameters: ['TEXT', 'START', 'COUNT?'],
    run({ TEXT, START, COUNT }) {
      const text = textOf(TEXT!.value);
      const start = numberOf(START!.value) ?? 1;
      if (text === null) return null;
      const from = start < 0 ? Math.max(0, text.length + start) : Math.max(0, start - 1);
      const count = COUNT === undefined ? text.length : (numberOf(COUNT.value) ?? 0);
      return text.slice(from, from + count) || null;
    },
  },
};

function whole(number: number | null): PlsqlValue {
  if (number === null) return null;
  return Number.isInteger(number) ? BigInt(number) : number;
}
