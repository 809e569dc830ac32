import { ClonaError } from '../../../errors.ts';
import type { DatabaseAddress } from '../../database.ts';
import { connect, quoteIdentifier, quoteLiteral, type Connection } from '../connect.ts';
import type { PlaceServer } from './place/place.ts';

/** What was found and done in the opened cluster. */
export interface OpenFindings {
  databases: string[];
  /** Rolled back: a prepared transaction holds its locks for ever, and nobody is left to end it. */
  preparedTransactions: { gid: string; database: string }[];
  /** Disabled: a running one would consume the slots of the server it subscribes to (R21). */
  subscriptions: { name: string; database: string }[];
  droppedSlots: string[];
  /** Empty after every recovery; they are left out of counts. */
  unloggedTables: string[];
  collations: CollationMismatch[];
  reindexed: number;
  /** What could not be ended, since nobody can enter its database. */
  leftBehind: string[];
}

export interface CollationMismatch {
  database: string;
  /** null: the database's own. */
  collation: string | null;
  recorded: string;
  actual: string;
}

/** How the restored cluster is entered. */
export interface Entry {
  user: string;
  /** One that is there and lets sessions in: a site may have closed or dropped template1. */
  database: string;
}

export interface OpenOptions {
  server: PlaceServer;
  entry: Entry;
  /** What to do when this host sorts texts otherwise than the one that built the indexes. */
  onCollationMismatch: 'reindex' | 'refuse';
  signal: AbortSignal;
}

/** Enters every database of a cluster that has just been opened, and takes away what must not go on in a copy. */
export async function putInOrder(options: OpenOptions): Promise<OpenFindings> {
  const { server, entry, signal } = options;
  const enter = async (database: string): Promise<Connection> =>
    enterCluster(server.address(database, entry.user), signal);
  const findings: OpenFindings = {
    databases: [],
    preparedTransactions: [],
    subscriptions: [],
    droppedSlots: [],
    unloggedTables: [],
    collations: [],
    reindexed: 0,
    leftBehind: [],
  };
  {
    await using session = await enter(entry.database);
    await readCluster(session, findings);
  }
  for (const database of findings.databases) {
    await using session = await enter(database);
    await endPrepared(session, database, findings);
    await disableSubscriptions(session, database, findings);
    await listUnlogged(session, database, findings);
    await compareCollations(session, database, findings, options.onCollationMismatch);
  }
  {
    await using session = await enter(entry.database);
    await listLeftBehind(session, findings);
  }
  return findings;
}

async function readCluster(session: Connection, findings: OpenFindings): Promise<void> {
  const databases = await session.query<{ name: string }>(
    `SELECT datname AS name FROM pg_catalog.pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY 1`,
  );
  findings.databases = databases.map(({ name }) => name);
  const slots = await session.query<{ name: string }>(
    `SELECT slot_name AS name FROM pg_catalog.pg_replication_slots WHERE NOT active ORDER BY 1`,
  );
  for (const { name } of slots) {
    await session.query('SELECT pg_catalog.pg_drop_replication_slot($1)', [name]);
    findings.droppedSlots.push(name);
  }
}

async function listLeftBehind(session: Connection, findings: OpenFindings): Promise<void> {
  const found = await session.query<{ what: string }>(
    `SELECT pg_catalog.format('prepared transaction %s of database %s', gid, database) AS what
       FROM pg_catalog.pg_prepared_xacts
     UNION ALL
     SELECT pg_catalog.format('subscription %s of database %s', s.subname, d.datname)
       FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
      WHERE s.subenabled ORDER BY 1`,
  );
  findings.leftBehind.push(...found.map(({ what }) => what));
}

async function endPrepared(session: Connection, database: string, findings: OpenFindings): Promise<void> {
  const found = await session.query<{ gid: string }>(
    `SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() ORDER BY prepared`,
  );
  for (const { gid } of found) {
    await session.query(`ROLLBACK PREPARED ${quoteLiteral(gid)}`);
    findings.preparedTransactions.push({ gid, database });
  }
}

async function disableSubscriptions(
  session: Connection,
  database: string,
  findings: OpenFindings,
): Promise<void> {
  const found = await session.query<{ name: string; enabled: boolean }>(
    `SELECT s.subname AS name, s.subenabled AS enabled
       FROM pg_catalog.pg_subscription s
       JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
      WHERE d.datname = pg_catalog.current_database() ORDER BY 1`,
  );
  for (const { name, enabled } of found) {
    if (enabled) await session.query(`ALTER SUBSCRIPTION ${quoteIdentifier(name)} DISABLE`);
    findings.subscriptions.push({ name, database });
  }
}

async function listUnlogged(session: Connection, database: string, findings: OpenFindings): Promise<void> {
  const found = await session.query<{ name: string }>(
    `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm') ORDER BY 1`,
  );
  findings.unloggedTables.push(...found.map(({ name }) => `${database}: ${name}`));
}

/** Versions as the cluster recorded them against what this host's libraries say now. */
async function compareCollations(
  session: Connection,
  database: string,
  findings: OpenFindings,
  treatment: OpenOptions['onCollationMismatch'],
): Promise<void> {
  const found = await session.query<{ id: string; name: string | null; recorded: string; actual: string }>(
    `SELECT '100' AS id, NULL AS name, datcollversion AS recorded, pg_catalog.pg_database_collation_actual_version(oid) AS actual
       FROM pg_catalog.pg_database
      WHERE datname = pg_catalog.current_database()
        AND datcollversion <> pg_catalog.pg_database_collation_actual_version(oid)
     UNION ALL
     SELECT c.oid::text, pg_catalog.format('%I.%I', n.nspname, c.collname), c.collversion, pg_catalog.pg_collation_actual_version(c.oid)
       FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
      WHERE c.collprovider <> 'd' AND c.collversion <> pg_catalog.pg_collation_actual_version(c.oid)`,
  );
  const mismatches = found.map(({ name, recorded, actual }) => ({
    database,
    collation: name,
    recorded,
    actual,
  }));
  if (mismatches.length === 0) return;
  findings.collations.push(...mismatches);
  if (treatment === 'refuse') throw sortsOtherwise(mismatches);
  findings.reindexed += await rebuildIndexes(
    session,
    found.map(({ id }) => id),
  );
  if (mismatches.some(({ collation }) => collation === null)) {
    await session.query(`ALTER DATABASE ${quoteIdentifier(database)} REFRESH COLLATION VERSION`);
  }
  for (const { collation } of mismatches) {
    if (collation !== null) await session.query(`ALTER COLLATION ${collation} REFRESH VERSION`);
  }
}

function sortsOtherwise(mismatches: readonly CollationMismatch[]): ClonaError {
  const [first] = mismatches;
  return new ClonaError(
    'serverUnfit',
    `this host sorts texts otherwise: collation version ${first?.actual} instead of ${first?.recorded} in database ${first?.database}`,
    {
      hint: 'restore on a host with the same version of the C library or ICU, or let the indexes be built anew',
      details: { mismatches },
    },
  );
}

/** Every index that orders by one of these collations (100 is `default`, the database's own: pg_collation.dat). */
async function rebuildIndexes(session: Connection, collations: readonly string[]): Promise<number> {
  const indexes = await session.query<{ name: string }>(
    `SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL pg_catalog.unnest(i.indcollation) AS used(id)
      WHERE used.id::text = ANY($1) AND n.nspname <> 'pg_toast' AND c.relpersistence <> 't'
      ORDER BY 1`,
    [collations],
  );
  for (const { name } of indexes) await session.query(`REINDEX INDEX ${name}`);
  return indexes.length;
}

/** What a site has set for its roles and databases (timeouts, read only, another role) must not hinder a restore. */
const ownSessionSettings = {
  role: 'none',
  default_transaction_read_only: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  search_path: '',
};

export async function enterCluster(address: DatabaseAddress, signal: AbortSignal): Promise<Connection> {
  return connect(address, signal, {
    applicationName: 'clona restore',
    timeoutMs: 60_000,
    settings: ownSessionSettings,
  });
}

/** A cluster's first user may have any name: the usual ones are tried. null: none of them gets in. */
export async function findEntry(
  address: (database: string, user: string) => DatabaseAddress,
  users: readonly string[],
  signal: AbortSignal,
): Promise<Entry | null> {
  for (const user of new Set(users)) {
    for (const database of ['template1', 'postgres', user]) {
      try {
        await using session = await enterCluster(address(database, user), signal);
        const [row] = await session.query<{ super: boolean }>(
          `SELECT rolsuper AS super FROM pg_catalog.pg_roles WHERE rolname = session_user`,
        );
        if (row?.super === true) return { user, database };
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ClonaError) || !isClosedDoor(error)) throw error;
      }
    }
  }
  return null;
}

/**
 * No such database, no such user or one that may not log in, a database that takes nobody (the manual's appendix A). The server
 * says it in its own language.
 */
const closedDoors: ReadonlySet<unknown> = new Set(['3D000', '28000', '55000']);

function isClosedDoor({ details }: ClonaError): boolean {
  return closedDoors.has(details?.['sqlState']);
}
