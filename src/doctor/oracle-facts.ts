import type { DatabaseAddress } from '../databases/database.ts';
import { buildCatalog } from '../databases/oracle/catalog.ts';
import { connectOracle, type OracleSession } from '../databases/oracle/connect.ts';
import type { ControlFileRows } from '../databases/oracle/control-file.ts';
import { grantedName, readControlFile } from '../databases/oracle/read-control-file.ts';
import { ClonaError } from '../errors.ts';
import type { Catalog } from '../recovery/catalog.ts';

/** What doctor knows of an Oracle database: read once, judged point by point. */
export interface OracleFacts {
  address: DatabaseAddress;
  rows: ControlFileRows;
  catalog: Catalog;
  warnings: string[];
  nowMs: number;
  /** Wall clock time of the server as an instant. */
  clock: (wall: string | null) => string | null;
  /** V$RMAN_CONFIGURATION: what was configured; what was not is at its default. */
  configuration: { name: string; value: string }[];
  /** V$DATABASE_BLOCK_CORRUPTION. */
  corruption: { file: string; blocks: number; kind: string }[];
  banner: string;
  /** V$OPTION with value TRUE. */
  options: ReadonlySet<string>;
  /** Privileges of the session that clona does not need, by name. */
  surplus: string[];
}

/** Every view beyond the control file that doctor looks at. */
const moreViews = {
  configuration: { from: 'V$RMAN_CONFIGURATION', columns: ['NAME', 'VALUE'] },
  corruption: { from: 'V$DATABASE_BLOCK_CORRUPTION', columns: ['FILE#', 'BLOCKS', 'CORRUPTION_TYPE'] },
  version: { from: 'V$VERSION', columns: ['BANNER'] },
  options: { from: 'V$OPTION', columns: ['PARAMETER', 'VALUE'] },
  privileges: { from: 'SESSION_PRIVS', columns: ['PRIVILEGE'] },
} as const;

type More = Record<keyof typeof moreViews, (string | null)[][]>;

/** Reads all of it on one connection. Throws `databasePrivilege` that names every missing grant, not only the first. */
export async function readOracleFacts(address: DatabaseAddress, signal: AbortSignal): Promise<OracleFacts> {
  await using session = await connectOracle(address, signal, { module: 'clona doctor', timeoutMs: 5000 });
  const { rows, denied } = await readControlFile(session).catch(async (error: unknown) => {
    throw await nameEveryGrant(session, error);
  });
  if (denied.length > 0) {
    throw await nameEveryGrant(session, new ClonaError('databasePrivilege', denied.join(', ')));
  }
  const more = await readMore(session);
  const { catalog, warnings, clock } = buildCatalog(rows, address.oracle?.timeZone);
  const text = (value: string | null | undefined): string => value ?? '';
  return {
    address,
    rows,
    catalog,
    warnings,
    nowMs: clock.nowMs,
    clock: clock.toInstant,
    configuration: more.configuration.map(([name, value]) => ({ name: text(name), value: text(value) })),
    corruption: more.corruption.map(([file, blocks, kind]) => ({
      file: text(file),
      blocks: Number(blocks),
      kind: text(kind),
    })),
    banner: text(more.version[0]?.[0]),
    options: new Set(more.options.filter(([, value]) => value === 'TRUE').map(([name]) => text(name))),
    surplus: more.privileges.map(([name]) => text(name)).filter((name) => dangerous.has(name)),
  };
}

/** The least that clona needs holds none of these (docs/how-to/oracle.md). */
const dangerous: ReadonlySet<string> = new Set([
  'ALTER DATABASE',
  'ALTER SYSTEM',
  'BECOME USER',
  'DELETE ANY TABLE',
  'DROP ANY TABLE',
  'DROP USER',
  'GRANT ANY PRIVILEGE',
  'INSERT ANY TABLE',
  'SYSDBA',
  'UPDATE ANY TABLE',
]);

async function readMore(session: OracleSession): Promise<More> {
  const found: Partial<More> = {};
  for (const [name, { from, columns }] of Object.entries(moreViews)) {
    found[name as keyof More] = await session
      .query(`SELECT ${columns.join(', ')} FROM ${from}`, {}, `reading ${from}`)
      .catch(async (error: unknown) => {
        throw await nameEveryGrant(session, error);
      });
  }
  return found as More; // every name was read
}

async function nameEveryGrant(session: OracleSession, error: unknown): Promise<unknown> {
  if (!(error instanceof ClonaError) || error.kind !== 'databasePrivilege') return error;
  const { controlFileViews } = await import('../databases/oracle/control-file.ts');
  const views = [...Object.values(controlFileViews), ...Object.values(moreViews)].map(({ from }) => from);
  const missing: string[] = [];
  for (const view of new Set(views)) {
    const denied = await session.query(`SELECT COUNT(*) FROM ${view} WHERE 1 = 0`).then(
      () => false,
      (thrown: unknown) => thrown instanceof ClonaError && thrown.kind === 'databasePrivilege',
    );
    if (denied) missing.push(view);
  }
  return new ClonaError(
    'databasePrivilege',
    `${missing.length} views may not be read: ${missing.join(', ')}`,
    {
      cause: error,
      hint: missing.map((view) => `GRANT SELECT ON ${grantedName(view)} TO the user of clona`).join('; '),
      details: { missing },
    },
  );
}
