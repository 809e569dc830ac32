import { ClonaError } from '../../../errors.ts';
import type { DatabaseAddress } from '../../database.ts';
import { quoteIdentifier, type Connection } from '../connect.ts';
import { inLanes, openFaithful, toProblem, type ProofProblem } from './sessions.ts';

/** A constraint that is taken off for the import and put back, validated where production had it validated. */
export interface LooseConstraint {
  /** `ALTER TABLE "s"."t"` or `ALTER DOMAIN "s"."d"`. */
  alter: string;
  name: string;
  schema: string;
  /** table or domain and constraint, for people. */
  label: string;
  definition: string;
  kind: 'foreign key' | 'check' | 'not null' | 'domain check';
  /** A foreign key from or to a partitioned table: older servers cannot add it first and validate it later. */
  onPartitioned: boolean;
  validated: boolean;
  enforced: boolean;
}

export interface ConstraintReport {
  validated: number;
  /** Put back as they were, and not validated: production does not vouch for them either. */
  notValidated: { constraint: string; reason: string }[];
}

interface ConstraintRow extends Record<string, unknown> {
  schema: string;
  relation: string;
  kind: string;
  isdomain: boolean;
  partitioned: boolean;
  name: string;
  type: string;
  definition: string;
  validated: boolean;
  enforced: boolean;
}

const kinds: Record<string, LooseConstraint['kind']> = { f: 'foreign key', c: 'check', n: 'not null' };

/**
 * Foreign keys and checks of all tables, by their topmost owner (partitions and children follow), and those rules that
 * hold only for new rows in production (NOT VALID): an import would hold old rows against them.
 */
export async function readLooseConstraints(
  session: Connection,
  serverVersion: number,
): Promise<LooseConstraint[]> {
  const enforced = serverVersion >= 180_000 ? 'con.conenforced' : 'true';
  // With an empty path every name in a definition is qualified.
  await session.query('BEGIN');
  await session.query(`SET LOCAL search_path = ''`);
  const rows = await session.query<ConstraintRow>(`
    SELECT n.nspname AS schema, c.relname AS relation, c.relkind::text AS kind, false AS isdomain,
           con.contype = 'f' AND 'p' IN (c.relkind, (SELECT r.relkind FROM pg_class r WHERE r.oid = con.confrelid)) AS partitioned, con.conname AS name, con.contype::text AS type,
           pg_get_constraintdef(con.oid) AS definition, con.convalidated AS validated, ${enforced} AS enforced
    FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND con.conparentid = 0
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND (con.contype = 'f' OR (con.contype = 'c' AND con.coninhcount = 0)
           OR (con.contype = 'n' AND con.coninhcount = 0 AND NOT con.convalidated))
    UNION ALL
    SELECT n.nspname, t.typname, 'd', true, false, con.conname, con.contype::text,
           pg_get_constraintdef(con.oid), con.convalidated, ${enforced}
    FROM pg_constraint con JOIN pg_type t ON t.oid = con.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE con.contype = 'c' AND NOT con.convalidated AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY 1, 2, 6`);
  await session.query('COMMIT');
  return rows.map(toConstraint);
}

function toConstraint(row: ConstraintRow): LooseConstraint {
  const owner = `${quoteIdentifier(row.schema)}.${quoteIdentifier(row.relation)}`;
  return {
    schema: row.schema,
    alter: `ALTER ${row.isdomain ? 'DOMAIN' : 'TABLE'} ${owner}`,
    name: row.name,
    label: `${row.schema}.${row.relation}: ${row.name}`,
    definition: row.definition,
    kind: row.isdomain ? 'domain check' : (kinds[row.type] ?? 'check'),
    onPartitioned: row.partitioned,
    validated: row.validated,
    enforced: row.enforced,
  };
}

export async function dropConstraints(
  session: Connection,
  constraints: readonly LooseConstraint[],
): Promise<void> {
  await session.query('BEGIN');
  for (const { alter, name } of constraints) {
    await session.query(`${alter} DROP CONSTRAINT ${quoteIdentifier(name)}`);
  }
  await session.query('COMMIT');
}

/**
 * Puts all constraints back, first without a look at the rows (short locks, no deadlock between tables that refer to
 * each other), then validates those that production had validated, several at a time.
 */
export async function restoreConstraints(
  address: DatabaseAddress,
  database: string,
  constraints: readonly LooseConstraint[],
  options: { workers: number; signal: AbortSignal; settings: readonly [string, string][] },
): Promise<ConstraintReport & { problems: ProofProblem[] }> {
  const { workers, signal, settings } = options;
  const report: ConstraintReport & { problems: ProofProblem[] } = {
    validated: 0,
    notValidated: [],
    problems: [],
  };
  const open = async (): Promise<Connection> => {
    const session = await openFaithful(address, database, signal);
    // Validation runs the checks' functions as production would: with its settings, as an ordinary session.
    await session.query('SET session_replication_role = origin');
    for (const [name, value] of settings)
      await session.query('SELECT set_config($1, $2, false)', [name, value]);
    return session;
  };
  await using first = await open();
  const toValidate: LooseConstraint[] = [];
  for (const constraint of constraints) {
    const later = constraint.validated && constraint.enforced && !constraint.onPartitioned;
    const add = `${constraint.alter} ADD CONSTRAINT ${quoteIdentifier(constraint.name)} ${constraint.definition}`;
    try {
      await first.query(later ? `${add} NOT VALID` : add);
    } catch (error) {
      report.problems.push(toProblem(constraint.label, 'constraint', error, signal));
      continue;
    }
    if (later) toValidate.push(constraint);
    else if (constraint.validated && constraint.enforced) report.validated += 1;
    else report.notValidated.push({ constraint: constraint.label, reason: whyNot(constraint) });
  }
  await using lanes = new AsyncDisposableStack();
  const sessions: Connection[] = [first];
  const paths = await readSearchPaths(first);
  await inLanes(workers, toValidate, async (constraint, lane) => {
    const session = (sessions[lane] ??= lanes.use(await open()));
    try {
      await validate(session, constraint, paths);
      report.validated += 1;
    } catch (error) {
      report.problems.push(toProblem(constraint.label, 'constraint', error, signal));
    }
  });
  return report;
}

/**
 * A check's function may name tables without their schema and lean on the path of the role that the application uses.
 * Only an unknown name is tried again, on the paths the site has set for its roles, then on the table's own schema.
 */
async function validate(
  session: Connection,
  { alter, name, schema }: LooseConstraint,
  rolePaths: readonly string[],
): Promise<void> {
  const statement = `${alter} VALIDATE CONSTRAINT ${quoteIdentifier(name)}`;
  const paths = [...rolePaths, `${quoteIdentifier(schema)}, public`];
  try {
    await session.query(statement);
  } catch (error) {
    if (!isUnknownName(error)) throw error;
    for (const path of paths) {
      await session.query('BEGIN');
      try {
        await session.query(`SELECT set_config('search_path', $1, true)`, [path]);
        await session.query(statement);
        await session.query('COMMIT');
        return;
      } catch (again) {
        await session.query('ROLLBACK');
        if (!isUnknownName(again)) throw again;
      }
    }
    throw error;
  }
}

/** undefined_table, undefined_function, undefined_object, invalid_schema_name (PostgreSQL manual, appendix A). */
const unknownNames: readonly unknown[] = ['42P01', '42883', '42704', '3F000'];

function isUnknownName(thrown: unknown): boolean {
  return thrown instanceof ClonaError && unknownNames.includes(thrown.details?.['sqlState']);
}

/** What ALTER ROLE … SET search_path says, for this database or for all. */
async function readSearchPaths(session: Connection): Promise<string[]> {
  const rows = await session.query<{ path: string }>(`
    SELECT DISTINCT substr(setting, length('search_path=') + 1) AS path
    FROM pg_db_role_setting, unnest(setconfig) AS setting
    WHERE setrole <> 0 AND setting LIKE 'search\\_path=%' ORDER BY 1`);
  return rows.map(({ path }) => path);
}

function whyNot({ enforced }: LooseConstraint): string {
  return enforced ? 'NOT VALID in production: holds for new rows only' : 'NOT ENFORCED in production';
}
