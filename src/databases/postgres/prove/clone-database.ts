import { ClonaError } from '../../../errors.ts';
import type { DatabaseAddress } from '../../database.ts';
import { connect, quoteIdentifier, quoteLiteral, type Connection } from '../connect.ts';
import type { ImportOptions } from './import-options.ts';
import { requireSuperuser } from './sessions.ts';

const marker = 'made by clona prove';

export function cloneDatabaseName(cloneName: string, prefix: 'clona' | 'x' = 'clona'): string {
  const name = `${prefix}_${cloneName}`;
  if (!/^[a-z0-9_]{1,63}$/.test(name)) {
    throw new ClonaError('usage', `"${name.slice(0, 80)}" cannot name the imported copy`, {
      hint: 'small letters, digits and underscores, 63 at most with the prefix',
    });
  }
  return name;
}

/** Removes the copy, if it is one that was made here. */
export async function dropClone(
  address: DatabaseAddress,
  cloneDatabase: string,
  signal: AbortSignal,
): Promise<void> {
  await using admin = await connect(adminAddress(address, cloneDatabase), signal);
  await dropOwn(admin, cloneDatabase);
}

function adminAddress(address: DatabaseAddress, database: string): DatabaseAddress {
  return { ...address, database: database === 'postgres' ? 'template1' : 'postgres' };
}

/** A database of its own, made with the restored one as template; one of an earlier proof goes first. */
export async function createClone(
  { address, database, signal }: Pick<ImportOptions, 'address' | 'database' | 'signal'>,
  cloneDatabase: string,
): Promise<void> {
  await using admin = await connect(adminAddress(address, database), signal);
  await requireSuperuser(admin);
  await dropOwn(admin, cloneDatabase);
  // FILE_COPY takes the files as they are: damage is then found by COPY, table by table, not here for the whole.
  await admin.query(
    `CREATE DATABASE ${quoteIdentifier(cloneDatabase)} TEMPLATE ${quoteIdentifier(database)} STRATEGY FILE_COPY`,
  );
  await admin.query(
    `COMMENT ON DATABASE ${quoteIdentifier(cloneDatabase)} IS ${quoteLiteral(`${marker} from ${database}`)}`,
  );
}

async function dropOwn(admin: Connection, cloneDatabase: string): Promise<void> {
  const [found] = await admin.query<{ comment: string | null }>(
    `SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = $1`,
    [cloneDatabase],
  );
  if (found === undefined) return;
  if (found.comment?.startsWith(marker) !== true) {
    throw new ClonaError(
      'databaseFailed',
      `database ${cloneDatabase} exists and was not made by clona: it is left alone`,
      {
        hint: 'rename it, or choose another name for the copy',
      },
    );
  }
  await admin.query(`DROP DATABASE ${quoteIdentifier(cloneDatabase)} WITH (FORCE)`);
}
