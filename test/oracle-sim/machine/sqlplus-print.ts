import { toText } from '../sql/coerce.ts';
import type { Column, SqlValue } from '../wire/values.ts';

interface PrintSettings {
  output: string[];
  heading: boolean;
  feedback: boolean;
  numberWidth: number;
  csv: { delimiter: string; quotes: boolean } | null;
}

/** A number that is wider than NUMWIDTH loses its digits: 2.8147E+14. */
function printNumber(value: bigint | number, width: number): string {
  const text = toText(value)!;
  if (text.length <= width) return text.padStart(width);
  const [mantissa = '', exponent = ''] = Number(value)
    .toExponential(Math.max(0, width - 6))
    .split('e');
  return `${mantissa}E${exponent.replace(/^([-+])(\d)$/, '$10$2')}`.padStart(width);
}

function printValue(value: SqlValue, { type }: Column, width: number): string {
  if (typeof value === 'bigint' || typeof value === 'number') return printNumber(value, width);
  const text = toText(value) ?? '';
  return type.kind === 'NUMBER' ? text.padStart(width) : text;
}

/** Rows as people read them; a program reads SQL through the driver. */
export function printRows(
  settings: PrintSettings,
  columns: readonly Column[],
  rows: Iterable<readonly SqlValue[]>,
): void {
  const { output, heading, feedback, numberWidth, csv } = settings;
  if (csv !== null) return printCsv(settings, csv, columns, rows);
  let count = 0;
  for (const row of rows) {
    if (count === 0 && heading) {
      output.push(
        '',
        columns.map(({ name }) => name).join(' '),
        columns.map(({ name }) => '-'.repeat(name.length)).join(' '),
      );
    }
    count += 1;
    output.push(
      columns
        .map((column, index) => printValue(row[index] ?? null, column, numberWidth))
        .join(' ')
        .trimEnd(),
    );
  }
  if (!feedback) return;
  output.push('', count === 0 ? 'no rows selected' : `${count} row${count === 1 ? '' : 's'} selected.`, '');
}

/** One line a row, after an empty one; texts in quotes, their own quotes doubled, numbers as they are, nothing for NULL. */
function printCsv(
  { output, heading }: PrintSettings,
  { delimiter, quotes }: { delimiter: string; quotes: boolean },
  columns: readonly Column[],
  rows: Iterable<readonly SqlValue[]>,
): void {
  const quote = (text: string): string => (quotes ? `"${text.replaceAll('"', '""')}"` : text);
  output.push('');
  if (heading) output.push(columns.map(({ name }) => quote(name)).join(delimiter));
  for (const row of rows) {
    const cells = columns.map(({ type }, index) => {
      const text = toText(row[index] ?? null) ?? '';
      return text === '' || type.kind === 'NUMBER' ? text : quote(text);
    });
    output.push(cells.join(delimiter));
  }
}
