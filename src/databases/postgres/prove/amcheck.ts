import type { DatabaseAddress } from '../../database.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import { connect, type Connection } from '../connect.ts';
import { dropSession, inLanes, toProblem, type ProofProblem } from './sessions.ts';

export interface StructureOptions {
  /** Superuser of the restored server. */
  address: DatabaseAddress;
  database: string;
  workers: number;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/** Evidence beside grade 4: heap and indexes are well-formed and agree. */
export interface StructureReport {
  passed: boolean;
  /** false: contrib amcheck is not on the server, nothing was checked. */
  available: boolean;
  relations: number;
  indexes: number;
  /** Indexes of kinds that amcheck cannot check on this server, by kind. */
  uncheckedIndexes: Record<string, number>;
  problems: ProofProblem[];
  seconds: number;
}

const shownPerRelation = 20;

interface Job extends Record<string, unknown> {
  oid: string;
  label: string;
  kind: 'heap' | 'btree' | 'gin';
}

/**
 * Checks every table, TOAST table and materialized view (verify_heapam) and every valid B-tree against its table
 * (bt_index_check with heapallindexed), the system's own included. The functions are made in the session's temporary
 * schema, so that the restored database keeps the schema it came with.
 */
export async function checkStructure(options: StructureOptions): Promise<StructureReport> {
  const { database, onProgress } = options;
  return withProgress(onProgress, `check heap and indexes of ${database}`, async () => check(options));
}

async function check(options: StructureOptions): Promise<StructureReport> {
  const { workers, signal } = options;
  const started = performance.now();
  const report: StructureReport = {
    passed: true,
    available: true,
    relations: 0,
    indexes: 0,
    uncheckedIndexes: {},
    problems: [],
    seconds: 0,
  };
  const lanes: (Connection | undefined)[] = [];
  try {
    const first = await openChecker(options);
    if (first === null) return { ...report, available: false };
    lanes[0] = first.session;
    const { jobs, unchecked } = await readJobs(first.session, first.version);
    report.uncheckedIndexes = unchecked;
    await inLanes(workers, jobs, async (job, lane) => {
      try {
        const session = (lanes[lane] ??= (await openChecker(options))?.session);
        if (session === undefined) return;
        report.problems.push(...(await checkOne(session, job)));
      } catch (error) {
        report.problems.push(toProblem(job.label, 'check', error, signal));
        const broken = lanes[lane];
        if (broken !== undefined && !(await answers(broken))) {
          dropSession(broken);
          lanes[lane] = undefined;
        }
      }
      if (job.kind === 'heap') report.relations += 1;
      else report.indexes += 1;
    });
  } finally {
    await Promise.all(lanes.map(async (session) => session?.[Symbol.asyncDispose]()));
  }
  report.passed = report.problems.length === 0;
  report.seconds = (performance.now() - started) / 1000;
  return report;
}

async function answers(session: Connection): Promise<boolean> {
  return session.query('SELECT 1').then(
    () => true,
    () => false,
  );
}

/** A session with the check functions; null where the server has no amcheck. */
async function openChecker({
  address,
  database,
  signal,
}: StructureOptions): Promise<{ session: Connection; version: number } | null> {
  const session = await connect({ ...address, database }, signal, { applicationName: 'clona prove' });
  try {
    const [row] = await session.query<{ version: string }>(
      `SELECT current_setting('server_version_num') AS version`,
    );
    const version = Number(row?.version);
    await session.query('SET statement_timeout = 0');
    for (const statement of checkFunctions(version)) await session.query(statement);
    return { session, version };
  } catch (error) {
    dropSession(session);
    const { sqlState } = toProblem('amcheck', 'check', error, signal);
    // undefined_file: the module is not installed.
    if (sqlState === '58P01') return null;
    throw error;
  }
}

function checkFunctions(version: number): string[] {
  return [
    `CREATE FUNCTION pg_temp.clona_heap(relation regclass, on_error_stop boolean, check_toast boolean, skip text,
       startblock bigint, endblock bigint, OUT blkno bigint, OUT offnum integer, OUT attnum integer, OUT msg text)
     RETURNS SETOF record AS '$libdir/amcheck', 'verify_heapam' LANGUAGE C`,
    `CREATE FUNCTION pg_temp.clona_btree(index regclass, heapallindexed boolean)
     RETURNS void AS '$libdir/amcheck', 'bt_index_check' LANGUAGE C STRICT`,
    ...(version >= 180_000
      ? [
          `CREATE FUNCTION pg_temp.clona_gin(index regclass) RETURNS void
           AS '$libdir/amcheck', 'gin_index_check' LANGUAGE C STRICT`,
        ]
      : []),
  ];
}

async function readJobs(
  session: Connection,
  version: number,
): Promise<{ jobs: Job[]; unchecked: Record<string, number> }> {
  // Unlogged and temporary relations hold nothing after a restore.
  const heaps = await session.query<Job>(`
    SELECT c.oid::text AS oid, n.nspname || '.' || c.relname AS label, 'heap' AS kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p' AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'heap')
    ORDER BY pg_relation_size(c.oid) DESC, c.oid`);
  const indexes = await session.query<Job & { method: string }>(`
    SELECT c.oid::text AS oid, n.nspname || '.' || c.relname || ' (index of ' || t.relname || ')' AS label,
           am.amname::text AS method, am.amname::text AS kind
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = c.relam
    WHERE c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready
    ORDER BY pg_relation_size(i.indrelid) DESC, c.oid`);
  const methods = new Set(version >= 180_000 ? ['btree', 'gin'] : ['btree']);
  const unchecked: Record<string, number> = {};
  for (const { method } of indexes)
    if (!methods.has(method)) unchecked[method] = (unchecked[method] ?? 0) + 1;
  return { jobs: [...heaps, ...indexes.filter(({ method }) => methods.has(method))], unchecked };
}

async function checkOne(session: Connection, { oid, label, kind }: Job): Promise<ProofProblem[]> {
  if (kind !== 'heap') {
    const call = kind === 'btree' ? 'clona_btree($1::oid::regclass, true)' : 'clona_gin($1::oid::regclass)';
    await session.query(`SELECT pg_temp.${call}`, [oid]);
    return [];
  }
  const rows = await session.query<{ blkno: string; offnum: number | null; msg: string; n: string }>(
    `SELECT blkno::text, offnum, msg, (count(*) OVER ())::text AS n
     FROM pg_temp.clona_heap($1::oid::regclass, false, true, 'none', NULL, NULL) LIMIT ${shownPerRelation}`,
    [oid],
  );
  const problems = rows.map(({ blkno, offnum, msg }): ProofProblem => {
    const place = offnum === null ? `block ${blkno}` : `block ${blkno}, item ${offnum}`;
    return { object: label, stage: 'check', message: `${place}: ${msg}`, sqlState: null };
  });
  const more = Number(rows[0]?.n ?? 0) - rows.length;
  if (more > 0) problems.push({ object: label, stage: 'check', message: `and ${more} more`, sqlState: null });
  return problems;
}
