import type { JobLogKind } from './job-log-kind.ts';
import type { OriginalRow } from './job-log-lines.ts';

interface Pending {
  key: string;
  words: string;
  line: number;
}

/** Row counts by table; the partitions of a table are summed, a repeated line replaces the earlier one. */
export class RowCounts {
  readonly #tables = new Map<string, Map<string, number>>();
  readonly #pending: Pending[] = [];
  readonly #tableWords = new Set<string>();
  #schema: string | null = null;
  /** exp names a partitioned table on a line of its own and its partitions below. */
  #parent: Pending | null = null;
  #late: Pending | null = null;

  setSchema(schema: string): void {
    this.#schema = schema;
    this.#parent = null;
  }

  add(table: string, partition: string, rows: number): void {
    const parts = this.#tables.get(table) ?? new Map<string, number>();
    parts.set(partition, rows);
    this.#tables.set(table, parts);
  }

  addOriginal(row: OriginalRow, line: number): void {
    this.#late = null;
    const key = this.#schema === null ? row.name : `${this.#schema}.${row.name}`;
    const parent = this.#parent;
    const isPartition =
      parent !== null &&
      row.partition === '' &&
      row.words !== parent.words &&
      !this.#tableWords.has(row.words);
    if (isPartition) {
      if (row.rows !== null) this.add(parent.key, `${row.words} ${row.name}`, row.rows);
      return;
    }
    this.#parent = null;
    if (row.rows === null) {
      this.#parent = { key, words: row.words, line };
      this.#late = this.#parent;
      this.#pending.push(this.#parent);
      return;
    }
    if (row.partition === '') this.#tableWords.add(row.words);
    this.add(key, row.partition, row.rows);
  }

  /** imp writes the count on a line of its own where errors came between. */
  addLateCount(line: string): boolean {
    if (this.#late === null) return false;
    const rows = /^\s{2,}(\d+)\s*[^\s\d:][^\d]*$/u.exec(line)?.[1];
    if (rows === undefined) return false;
    this.add(this.#late.key, '', Number(rows));
    this.#late = null;
    return true;
  }

  hasTable(name: string): boolean {
    if (this.#tables.has(name)) return true;
    const bare = name.slice(name.indexOf('.') + 1);
    const suffix = `.${name.includes('.') ? name : bare}`;
    return [...this.#tables.keys()].some((key) => key.endsWith(suffix));
  }

  /** Tables of exp that were begun and never counted, in a log that counts rows at all. */
  uncounted(kind: JobLogKind | null): { name: string; line: number }[] {
    if (kind !== 'exp' && kind !== 'imp') return [];
    return this.#pending
      .filter(({ key, words }) => !this.#tables.has(key) && this.#tableWords.has(words))
      .map(({ key, line }) => ({ name: key, line }));
  }

  toRecord(): Record<string, number> {
    return Object.fromEntries(
      [...this.#tables].map(([table, parts]) => [
        table,
        [...parts.values()].reduce((sum, rows) => sum + rows, 0),
      ]),
    );
  }
}
