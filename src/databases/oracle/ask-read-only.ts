import type oracledb from 'oracledb';
import type { BindValues, OracleSession } from './connect.ts';

export interface Asked {
  /** Column names as the server writes them. */
  fields: string[];
  rows: (string | null)[][];
}

/**
 * A query in a read-only transaction that is ended again: what it calls can change nothing (ORA-01456). Values come as text, numbers
 * whole, dates in ISO form (in the zone of this process). `most`: further rows are not fetched.
 */
export async function askReadOnly(
  { driver }: Pick<OracleSession, 'driver'>,
  sql: string,
  most: number,
  binds: BindValues = {},
): Promise<Asked> {
  const { default: library } = await import('oracledb');
  const asText = new Set<unknown>([library.DB_TYPE_NUMBER, library.DB_TYPE_CLOB, library.DB_TYPE_LONG]);
  await driver.rollback();
  await driver.execute('SET TRANSACTION READ ONLY');
  try {
    const { rows = [], metaData = [] } = await driver.execute<unknown[]>(
      sql.trim().replace(/;\s*$/, ''),
      { ...binds },
      {
        outFormat: library.OUT_FORMAT_ARRAY,
        maxRows: most,
        // Undefined: as it comes; the driver's types leave that out.
        fetchTypeHandler: ({ dbType }): oracledb.FetchTypeResponse =>
          (asText.has(dbType) ? { type: library.STRING } : undefined)!,
      },
    );
    return { fields: metaData.map(({ name }) => name), rows: rows.map((row) => row.map(toText)) };
  } finally {
    await driver.rollback();
  }
}

function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value)) return value.toString('hex').toUpperCase();
  return typeof value === 'string' ? value : JSON.stringify(value);
}
