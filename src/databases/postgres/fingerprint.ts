import { createHash } from 'node:crypto';
import type { DatabaseAddress } from '../database.ts';
import { connect, type Connection } from './connect.ts';

/** One definition of a schema: what it is, its name, and how the server writes it down. */
interface Definition extends Record<string, unknown> {
  kind: string;
  name: string;
  definition: string;
}

export interface SchemaFingerprint {
  /** SHA-256 over every definition, in order. The same for a restored copy; another for any change of the schema. */
  hash: string;
  definitions: number;
}

/**
 * What a release must find unchanged on LIVE (R18) and a rollback must bring back (R20): tables with their columns,
 * constraints, indexes, triggers and policies, views, functions, types, sequences, extensions. Values (rows,
 * sequence positions) and everything that differs between a database and its restored copy (object numbers) are
 * left out; so are the system's schemas, temporary ones, and what belongs to an extension, which counts by its version.
 */
export async function takeFingerprint(
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<SchemaFingerprint> {
  await using session = await connect(address, signal, { applicationName: 'clona fingerprint' });
  const definitions = await readDefinitions(session);
  const hash = createHash('sha256');
  for (const { kind, name, definition } of definitions)
    hash.update(`${JSON.stringify([kind, name, definition])}\n`);
  return { hash: hash.digest('hex'), definitions: definitions.length };
}

async function readDefinitions(session: Connection): Promise<Definition[]> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    // With an empty path every name in a definition is qualified, whatever the session's own settings.
    await session.query(`SET LOCAL search_path = ''`);
    const found: Definition[] = [];
    for (const query of Object.values(queries)) found.push(...(await session.query<Definition>(query)));
    return found.sort(
      (left, right) =>
        compare(left.kind, right.kind) ||
        compare(left.name, right.name) ||
        compare(left.definition, right.definition),
    );
  } finally {
    await session.query('ROLLBACK').catch(() => {});
  }
}

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

const ownSchemas = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_%temp\\_%'`;
const notOfExtension = (catalog: string, oid: string): string =>
  `NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.${catalog}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`;

const queries = {
  relations: `
    SELECT 'relation' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
           concat_ws(' ', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
             array_to_string(c.reloptions, ','), pg_catalog.pg_get_partkeydef(c.oid),
             pg_catalog.pg_get_expr(c.relpartbound, c.oid),
             (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
             CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END) AS definition
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND ${ownSchemas} AND ${notOfExtension('pg_class', 'c.oid')}`,
  columns: `
    SELECT 'column' AS kind, format('%I.%I.%I', n.nspname, c.relname, a.attname) AS name,
           concat_ws(' ', rank() OVER (PARTITION BY c.oid ORDER BY a.attnum), pg_catalog.format_type(a.atttypid, a.atttypmod),
             a.attnotnull, a.attidentity, a.attgenerated, a.attcollation::regcollation::text,
             pg_catalog.pg_get_expr(f.adbin, f.adrelid)) AS definition
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND ${ownSchemas}
       AND ${notOfExtension('pg_class', 'c.oid')}`,
  constraints: `
    SELECT 'constraint' AS kind, format('%I.%I on %s', n.nspname, o.conname, coalesce(nullif(o.conrelid, 0)::regclass::text, o.contypid::regtype::text)) AS name,
           concat_ws(' ', pg_catalog.pg_get_constraintdef(o.oid), o.convalidated) AS definition
      FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace
     WHERE ${ownSchemas} AND o.contype <> 't'`,
  indexes: `
    SELECT 'index' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
           concat_ws(' ', pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered) AS definition
      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE ${ownSchemas} AND ${notOfExtension('pg_class', 'i.indrelid')}`,
  functions: `
    SELECT 'function' AS kind, p.oid::regprocedure::text AS name,
           CASE WHEN p.prokind = 'a' THEN concat_ws(' ', pg_catalog.pg_get_function_result(p.oid), a.aggtransfn, a.aggfinalfn, a.agginitval)
                ELSE pg_catalog.pg_get_functiondef(p.oid) END AS definition
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid
     WHERE ${ownSchemas} AND ${notOfExtension('pg_proc', 'p.oid')}`,
  triggers: `
    SELECT 'trigger' AS kind, format('%I on %s', t.tgname, t.tgrelid::regclass) AS name,
           concat_ws(' ', pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled) AS definition
      FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT t.tgisinternal AND ${ownSchemas}`,
  rulesAndPolicies: `
    SELECT 'rule' AS kind, format('%I on %s', r.rulename, r.ev_class::regclass) AS name, pg_catalog.pg_get_ruledef(r.oid) AS definition
      FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE r.rulename <> '_RETURN' AND ${ownSchemas}
    UNION ALL
    SELECT 'policy', format('%I on %s', p.polname, p.polrelid::regclass),
           concat_ws(' ', p.polcmd, p.polpermissive, pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
      FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ${ownSchemas}`,
  types: `
    SELECT 'type' AS kind, t.oid::regtype::text AS name,
           concat_ws(' ', t.typtype, t.typnotnull, t.typdefault, CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
             (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)) AS definition
      FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typtype IN ('d', 'e', 'r', 'm') AND ${ownSchemas} AND ${notOfExtension('pg_type', 't.oid')}`,
  sequences: `
    SELECT 'sequence' AS kind, s.seqrelid::regclass::text AS name,
           concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle) AS definition
      FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ${ownSchemas}`,
  schemasAndExtensions: `
    SELECT 'schema' AS kind, quote_ident(n.nspname) AS name, '' AS definition FROM pg_catalog.pg_namespace n WHERE ${ownSchemas}
    UNION ALL
    SELECT 'extension', quote_ident(e.extname), e.extversion FROM pg_catalog.pg_extension e`,
} as const satisfies Record<string, string>;
