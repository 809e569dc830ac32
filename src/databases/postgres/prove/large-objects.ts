import { pipeline } from 'node:stream/promises';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import type { Connection } from '../connect.ts';
import { readThrough } from './copy-table.ts';
import { toProblem, type ProofProblem } from './sessions.ts';

export interface LargeObjectReport {
  objects: number;
  pages: number;
  problems: ProofProblem[];
}

/**
 * Every page of every large object is read from the restored database and written into the same object of the other
 * one, emptied before. Pages without an object are a problem.
 */
export async function importLargeObjects(
  source: Connection,
  target: Connection,
  signal: AbortSignal,
): Promise<LargeObjectReport> {
  const problems: ProofProblem[] = [];
  const orphans = await source.query<{ n: string }>(
    `SELECT count(DISTINCT loid)::text AS n FROM pg_largeobject l
     WHERE NOT EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = l.loid)`,
  );
  if (orphans[0]?.n !== '0') {
    problems.push({
      object: 'large objects',
      stage: 'large-object',
      message: `${orphans[0]?.n ?? '?'} large objects have pages and no entry in pg_largeobject_metadata`,
      sqlState: null,
    });
  }
  const objects = Number(
    (await source.query<{ n: string }>('SELECT count(*)::text AS n FROM pg_largeobject_metadata'))[0]?.n,
  );
  if (objects === 0) return { objects, pages: 0, problems };
  try {
    const pages = await refill(source, target);
    return { objects, pages, problems };
  } catch (error) {
    problems.push(toProblem('large objects', 'large-object', error, signal));
    return { objects, pages: 0, problems };
  }
}

async function refill(source: Connection, target: Connection): Promise<number> {
  const pages = await readThrough(source, 'SELECT loid, pageno, data FROM pg_catalog.pg_largeobject');
  await target.query('BEGIN');
  // The pages are rows of a catalog that a superuser may write; the objects, their owners and rights stay.
  await target.query('DELETE FROM pg_catalog.pg_largeobject');
  const reading = source.client.query(
    copyTo('COPY (SELECT loid, pageno, data FROM pg_catalog.pg_largeobject) TO STDOUT'),
  );
  const writing = target.client.query(
    copyFrom('COPY pg_catalog.pg_largeobject (loid, pageno, data) FROM STDIN'),
  );
  await pipeline(reading, writing);
  await target.query('COMMIT');
  return pages;
}
