import { quoteLiteral, type Connection } from '../connect.ts';
import { copyTable, CopyError, readThrough, storedGeneratedQuery } from './copy-table.ts';
import type { ImportOptions } from './import-options.ts';
import type { Inventory, Relation } from './inventory.ts';
import { dropSession, inLanes, openFaithful, toProblem, type ProofProblem } from './sessions.ts';

export interface ImportedTable {
  table: string;
  partitionOf: string | null;
  rows: number;
}

interface Lane {
  source: Connection;
  target: Connection;
}

export interface ImportedRows {
  tables: ImportedTable[];
  materializedViews: ImportedTable[];
  problems: ProofProblem[];
}

/**
 * Every row of every table through COPY into the copy, and every materialized view read through. A table whose session was lost
 * (a crash of the server ends them all) gets a second chance, alone.
 */
export async function importTables(
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
