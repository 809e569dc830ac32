import { withProgress } from '../../../progress.ts';
import type { Connection } from '../connect.ts';
import { cloneDatabaseName, createClone } from './clone-database.ts';
import {
  dropConstraints,
  readLooseConstraints,
  restoreConstraints,
  type ConstraintReport,
} from './constraints.ts';
import { importTables, type ImportedTable } from './import-tables.ts';
import { readInventory, type Skipped } from './inventory.ts';
import { importLargeObjects } from './large-objects.ts';
import { openFaithful, type ProofProblem } from './sessions.ts';
import type { ImportOptions } from './import-options.ts';

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
