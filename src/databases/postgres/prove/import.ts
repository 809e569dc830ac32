import type { DatabaseAddress } from '../../database.ts';
import { ClonaError } from '../../../errors.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import { connect, quoteIdentifier, quoteLiteral, type Connection } from '../connect.ts';
import {
  dropConstraints,
  readLooseConstraints,
  restoreConstraints,
  type ConstraintReport,
} from './constraints.ts';
import { copyTable, CopyError, readThrough, storedGeneratedQuery } from './copy-table.ts';
import { readInventory, type Inventory, type Relation, type Skipped } from './inventory.ts';
import { importLargeObjects } from './large-objects.ts';
import {
  dropSession,
  inLanes,
  openFaithful,
  requireSuperuser,
  toProblem,
  type ProofProblem,
} from './sessions.ts';

export interface ImportOptions {
  /** Superuser of the restored server. */
  address: DatabaseAddress;
  /** The restored database. Nobody else may be connected to it while the copy is begun. */
  database: string;
  /** The copy is named `<prefix>_<cloneName>`. */
  cloneName: string;
  /** Default clona. */
  prefix?: 'clona' | 'x';
  workers: number;
  signal: AbortSignal;
  onProgress: OnProgress;
}

export interface ImportedTable {
  table: string;
  partitionOf: string | null;
  rows: number;
}

/** Evidence of grade 4. */
export interface ImportReport {
  passed: boolean;
  database: string;
  cloneDatabase: string;
  tables: ImportedTable[];
  rows: number;
  materializedViews: ImportedTable[];
  skipped: Skipped[];
  constraints: ConstraintReport;
  largeObjects: { objects: number; pages: number };
  sequences: number;
  problems: ProofProblem[];
  seconds: number;
}

const marker = 'made by clona prove';

/**
 * Grade 4 (R15): every row of the restored database goes through COPY as text into a database of its own, made with the
 * restored one as template, and every foreign key and check is validated there. Text finds what a copy inside the server
 * carries along: damaged TOAST, bytes that are no UTF-8. All problems are collected and named.
 */
export async function importIntoClona(options: ImportOptions): Promise<ImportReport> {
  const { database, signal, onProgress } = options;
  const started = performance.now();
  const cloneDatabase = cloneDatabaseName(options.cloneName, options.prefix);
  await withProgress(onProgress, `copy ${database} as ${cloneDatabase}`, async () =>
    createClone(options, cloneDatabase),
  );
  await using source = await openSnapshot(options);
  const inventory = await readInventory(source.session);
  await using target = await openFaithful(options.address, cloneDatabase, signal);
  const constraints = await readLooseConstraints(target, inventory.serverVersion);
  const triggers = await silenceTriggers(target);
  await dropConstraints(target, constraints);
  const imported = await importTables(options, cloneDatabase, inventory, source.snapshot);
  const largeObjects = await importLargeObjects(source.session, target, signal);
  const sequences = await compareSequences(source.session, target);
  const settings = await readDatabaseSettings(source.session);
  const validated = await withProgress(onProgress, 'validate constraints', async () =>
    restoreConstraints(options.address, cloneDatabase, constraints, { ...options, settings }),
  );
  for (const statement of triggers) await target.query(statement);
  const problems = [
    ...imported.problems,
    ...largeObjects.problems,
    ...sequences.problems,
    ...validated.problems,
  ];
  return {
    passed: problems.length === 0,
    database,
    cloneDatabase,
    tables: imported.tables,
    rows: imported.tables.reduce((sum, { rows }) => sum + rows, 0),
    materializedViews: imported.materializedViews,
    skipped: inventory.skipped,
    constraints: { validated: validated.validated, notValidated: validated.notValidated },
    largeObjects: { objects: largeObjects.objects, pages: largeObjects.pages },
    sequences: sequences.count,
    problems,
    seconds: (performance.now() - started) / 1000,
  };
}

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

async function createClone(
  { address, database, signal }: ImportOptions,
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

async function openSnapshot({
  address,
  database,
  signal,
}: ImportOptions): Promise<AsyncDisposable & { session: Connection; snapshot: string }> {
  const session = await openFaithful(address, database, signal);
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [row] = await session.query<{ id: string }>('SELECT pg_export_snapshot() AS id');
    return {
      session,
      snapshot: row?.id ?? '',
      [Symbol.asyncDispose]: async () => session[Symbol.asyncDispose](),
    };
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

/** Triggers that fire even for a replica (ALWAYS, REPLICA) are switched off; the statements that switch them on again. */
async function silenceTriggers(target: Connection): Promise<string[]> {
  const rows = await target.query<{ off: string; on: string }>(`
    SELECT 1 AS rank, format('ALTER TABLE ONLY %I.%I DISABLE TRIGGER %I', n.nspname, c.relname, t.tgname) AS off,
           format('ALTER TABLE ONLY %I.%I ENABLE %s TRIGGER %I', n.nspname, c.relname,
                  CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, t.tgname) AS on
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT 0, format('ALTER EVENT TRIGGER %I DISABLE', evtname),
           format('ALTER EVENT TRIGGER %I ENABLE %s', evtname, CASE evtenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END)
    FROM pg_event_trigger WHERE evtenabled IN ('A', 'R')
    ORDER BY 1, 2`);
  // Event triggers go first and come back last: they would see the others go.
  for (const { off } of rows) await target.query(off);
  return rows.map(({ on }) => on).toReversed();
}

interface Lane {
  source: Connection;
  target: Connection;
}

interface ImportedRows {
  tables: ImportedTable[];
  materializedViews: ImportedTable[];
  problems: ProofProblem[];
}

async function importTables(
  options: ImportOptions,
  cloneDatabase: string,
  inventory: Inventory,
  snapshot: string,
): Promise<ImportedRows> {
  const { workers, signal, onProgress } = options;
  const result: ImportedRows = { tables: [], materializedViews: [], problems: [] };
  const lanes: (Lane | undefined)[] = [];
  const again: Relation[] = [];
  const work = async (table: Relation, lane: number, isRetry: boolean): Promise<void> => {
    onProgress({ step: `import ${table.label}`, state: 'started' });
    try {
      const { source, target } = (lanes[lane] ??= await openLane(options, cloneDatabase, snapshot));
      result.tables.push(await importTable(source, target, table, result.problems, signal));
      onProgress({ step: `import ${table.label}`, state: 'done' });
    } catch (error) {
      closeLane(lanes, lane);
      const lost = !(error instanceof CopyError) || error.lost;
      // A crash of the server ends every session: those tables get a second chance, one by one.
      if (lost && !isRetry && !signal.aborted) again.push(table);
      else result.problems.push(problemOf(table, error, signal));
      onProgress({ step: `import ${table.label}`, state: 'failed' });
    }
  };
  try {
    await inLanes(workers, inventory.tables, async (table, lane) => work(table, lane, false));
    await inLanes(1, again, async (table, lane) => work(table, lane, true));
    await inLanes(1, inventory.materializedViews, async (view, lane) => {
      try {
        const { source } = (lanes[lane] ??= await openLane(options, cloneDatabase, snapshot));
        const rows = await readThrough(source, `SELECT * FROM ${view.sql}`);
        result.materializedViews.push({ table: view.label, partitionOf: null, rows });
      } catch (error) {
        closeLane(lanes, lane);
        // One that was never filled has nothing to read.
        const problem = toProblem(view.label, 'read', error, signal);
        if (problem.sqlState !== '55000') result.problems.push(problem);
      }
    });
  } finally {
    for (const index of lanes.keys()) closeLane(lanes, index);
  }
  result.tables.sort((a, b) => (a.table < b.table ? -1 : 1));
  return result;
}

async function importTable(
  source: Connection,
  target: Connection,
  table: Relation,
  problems: ProofProblem[],
  signal: AbortSignal,
): Promise<ImportedTable> {
  const { read, written } = await copyTable(source, target, table, signal);
  const generated = storedGeneratedQuery(table);
  if (generated !== null) {
    try {
      await readThrough(source, generated);
    } catch (error) {
      throw new CopyError('read', error, false);
    }
  }
  if (read !== written) {
    const message = `${read} rows were read and ${written} written`;
    problems.push({ object: table.label, stage: 'count', message, sqlState: null });
  }
  return { table: table.label, partitionOf: table.partitionOf, rows: written };
}

function problemOf(table: Relation, error: unknown, signal: AbortSignal): ProofProblem {
  if (error instanceof CopyError) return toProblem(table.label, error.stage, error.cause, signal);
  return toProblem(table.label, 'read', error, signal);
}

async function openLane(options: ImportOptions, cloneDatabase: string, snapshot: string): Promise<Lane> {
  const { address, database, signal } = options;
  const source = await openFaithful(address, database, signal);
  try {
    await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // After a crash of the server the snapshot is gone; nobody writes to a restored database that is fenced.
    await source.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot)}`).catch(async () => {
      signal.throwIfAborted();
      await source.query('ROLLBACK');
      await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    });
    return { source, target: await openFaithful(address, cloneDatabase, signal) };
  } catch (error) {
    dropSession(source);
    throw error;
  }
}

function closeLane(lanes: (Lane | undefined)[], index: number): void {
  const lane = lanes[index];
  lanes[index] = undefined;
  if (lane === undefined) return;
  dropSession(lane.source);
  dropSession(lane.target);
}

/** Sequences came with the template; each must read, and stand where the restored one stands. */
async function compareSequences(
  source: Connection,
  target: Connection,
): Promise<{ count: number; problems: ProofProblem[] }> {
  const query = `SELECT schemaname || '.' || sequencename AS name, last_value::text AS last FROM pg_sequences ORDER BY 1`;
  type Row = { name: string; last: string | null };
  const restored = await source.query<Row>(query);
  const copied = new Map((await target.query<Row>(query)).map(({ name, last }) => [name, last]));
  const problems = restored
    .filter(({ name, last }) => copied.get(name) !== last)
    .map(({ name, last }): ProofProblem => {
      const message = `stands at ${last ?? 'its start'}, in the copy at ${copied.get(name) ?? 'its start'}`;
      return { object: name, stage: 'sequence', message, sqlState: null };
    });
  return { count: restored.length, problems };
}

/** ALTER DATABASE … SET does not come along with a template; checks may rest on it (search_path). */
async function readDatabaseSettings(source: Connection): Promise<[string, string][]> {
  const rows = await source.query<{ setting: string }>(`
    SELECT unnest(setconfig) AS setting FROM pg_db_role_setting
    WHERE setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())`);
  return rows
    .map(({ setting }): [string, string] => {
      const at = setting.indexOf('=');
      return [setting.slice(0, at), setting.slice(at + 1)];
    })
    .filter(([name]) => name === 'search_path' || name === 'timezone' || name.includes('.'));
}
