import { quoteIdentifier, type Connection } from '../connect.ts';

/** A relation of the restored database with rows of its own. */
export interface Relation {
  oid: string;
  schema: string;
  name: string;
  /** Schema and name, quoted for SQL. */
  sql: string;
  /** Schema and name as people read them. */
  label: string;
  sizeBytes: number;
  /** Label of the partitioned table at the top, where it is a partition. */
  partitionOf: string | null;
  storedGenerated: string[];
}

export interface Skipped {
  relation: string;
  reason: string;
}

export interface Inventory {
  /** Ordinary tables and partitions, largest first: each row of the database once. */
  tables: Relation[];
  /** Read for damage, not imported: they hold derived rows. */
  materializedViews: Relation[];
  skipped: Skipped[];
  serverVersion: number;
  encoding: string;
}

const skipReasons = {
  unlogged: 'unlogged: not in the archive, empty after a restore',
  temporary: 'temporary: left behind by a session that ended',
  foreign: 'foreign table: its rows live elsewhere',
} as const;

interface RelationRow extends Record<string, unknown> {
  oid: string;
  schema: string;
  name: string;
  kind: string;
  persistence: string;
  size: string;
  root: string | null;
  generated: string[];
}

/** Everything with rows outside of the system's own schemas; partitions count, their parents do not. */
export async function readInventory(session: Connection): Promise<Inventory> {
  const rows = await session.query<RelationRow>(`
    SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
           c.relpersistence::text AS persistence, pg_table_size(c.oid)::text AS size,
           CASE WHEN c.relispartition THEN (
             SELECT rn.nspname || '.' || rc.relname FROM pg_class rc JOIN pg_namespace rn ON rn.oid = rc.relnamespace
             WHERE rc.oid = pg_partition_root(c.oid)) END AS root,
           ARRAY(SELECT a.attname::text FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = 's'
                 ORDER BY a.attnum) AS generated
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'f')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'
    ORDER BY pg_table_size(c.oid) DESC, n.nspname, c.relname`);
  const [server] = await session.query<{ version: string; encoding: string }>(
    `SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding`,
  );
  const inventory: Inventory = {
    tables: [],
    materializedViews: [],
    skipped: [],
    serverVersion: Number(server?.version),
    encoding: server?.encoding ?? 'UTF8',
  };
  for (const row of rows) {
    const reason = skipReason(row);
    const relation = toRelation(row);
    if (reason !== null) inventory.skipped.push({ relation: relation.label, reason });
    else if (row.kind === 'm') inventory.materializedViews.push(relation);
    else inventory.tables.push(relation);
  }
  return inventory;
}

function skipReason({ kind, persistence }: RelationRow): string | null {
  if (persistence === 't') return skipReasons.temporary;
  if (persistence === 'u') return skipReasons.unlogged;
  return kind === 'f' ? skipReasons.foreign : null;
}

function toRelation({ oid, schema, name, size, root, generated }: RelationRow): Relation {
  return {
    oid,
    schema,
    name,
    sql: `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`,
    label: `${schema}.${name}`,
    sizeBytes: Number(size),
    partitionOf: root,
    storedGenerated: generated,
  };
}
