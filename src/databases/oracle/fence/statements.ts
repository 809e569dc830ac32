import { splitOracleSql } from '../split-sql.ts';

/** What a site writes into staging.fence, in the pieces that the server takes. */
export function splitStatements(sql: string): string[] {
  return splitOracleSql(sql).map(({ text }) => text);
}
