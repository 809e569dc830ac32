import type { OracleSession } from '../databases/oracle/connect.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import { ClonaError } from '../errors.ts';
import type { Sql } from './sql.ts';
import type { SmokeMachine } from './machine.ts';

/**
 * The fixture `sql` for Oracle: rows as objects by column name in lower case, numbers as numbers where a double holds them and
 * as texts where not, as the fixture gives them for PostgreSQL. Values are bound.
 */
export function openOracleSql(
  database: DatabaseAddress,
  role: SmokeMachine['role'],
): { sql: Sql } & AsyncDisposable {
  const stop = new AbortController();
  let opened: Promise<OracleSession> | undefined;
  const open = async (): Promise<OracleSession> => {
    const { connectOracle } = await import('../databases/oracle/connect.ts');
    const session = await connectOracle(database, stop.signal, { module: 'clona smoke' });
    if (role === 'live') await session.driver.execute('SET TRANSACTION READ ONLY');
    return session;
  };
  return {
    sql: async <Row extends Record<string, unknown>>(
      text: TemplateStringsArray,
      ...values: readonly unknown[]
    ): Promise<Row[]> => {
      const session = await (opened ??= open());
      const statement = text.map((part, index) => (index === 0 ? part : `:${index}${part}`)).join('');
      refuseDdl(statement);
      return (await ask(session, statement, values)) as Row[];
    },
    [Symbol.asyncDispose]: async () => {
      const session = await opened?.catch(() => undefined);
      await session?.driver.rollback().catch(() => {});
      await session?.[Symbol.asyncDispose]();
    },
  };
}

/** It would commit what the test changed, and on LIVE it would not be refused. */
function refuseDdl(statement: string): void {
  if (!/^\s*(?:create|alter|drop|truncate|grant|revoke|rename|comment|commit|rollback)\b/i.test(statement))
    return;
  throw new ClonaError(
    'usage',
    'a smoke test changes no schema and ends no transaction: nothing of it may stay',
  );
}

async function ask(
  { driver }: OracleSession,
  statement: string,
  values: readonly unknown[],
): Promise<Record<string, unknown>[]> {
  const { default: library } = await import('oracledb');
  const asText = new Set<unknown>([library.DB_TYPE_NUMBER, library.DB_TYPE_CLOB, library.DB_TYPE_LONG]);
  const { rows = [], metaData = [] } = await driver.execute<unknown[]>(
    statement.trim().replace(/;\s*$/, ''),
    // What a test hands over is the driver's to judge.
    values as (string | number)[],
    {
      outFormat: library.OUT_FORMAT_ARRAY,
      // Undefined: as it comes; the driver's types leave that out.
      fetchTypeHandler: ({ dbType }) => (asText.has(dbType) ? { type: library.STRING } : undefined)!,
    },
  );
  return rows.map((row) =>
    Object.fromEntries(
      metaData.map(({ name, dbType }, index) => [
        name.toLowerCase(),
        dbType === library.DB_TYPE_NUMBER ? readNumber(row[index]) : row[index],
      ]),
    ),
  );
}

function readNumber(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const text = value.replace(/^(-?)\./, '$10.');
  return String(Number(text)) === text ? Number(text) : text;
}
