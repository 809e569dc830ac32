import type { Connection } from '../databases/postgres/connect.ts';
import { quoteIdentifier } from '../databases/postgres/connect.ts';

/** Everything a site keeps in its control database lies in this schema; its workflows in the one beside it. */
export function schemaName(site: string): string {
  return `clona_${site.replaceAll('-', '_')}`;
}

export function workflowSchemaName(site: string): string {
  return `${schemaName(site)}_dbos`;
}

/**
 * The tables of a site. The ledger takes rows and gives them; whoever tries to change or remove one is refused by
 * the server. (Who owns the server can switch that off: then the chain, the head and its copies tell.)
 */
export async function createSchema(session: Connection, site: string): Promise<void> {
  const schema = quoteIdentifier(schemaName(site));
  // Two first users at once: the second waits here and finds everything made.
  await session.query('begin');
  try {
    await session.query("select pg_advisory_xact_lock(1129074497, hashtext('schema ' || $1))", [site]);
    for (const statement of statements(schema)) await session.query(statement);
    await session.query('commit');
  } catch (error) {
    await session.query('rollback').catch(() => {});
    throw error;
  }
}

function statements(schema: string): string[] {
  return [
    `create schema if not exists ${schema}`,
    `create table if not exists ${schema}.ledger (
       sequence bigint primary key,
       hash text not null unique,
       key text unique,
       kind text not null,
       run text,
       line text not null)`,
    `create index if not exists ledger_run on ${schema}.ledger (run, sequence)`,
    `create table if not exists ${schema}.site_lock (
       name text primary key,
       who text not null,
       what text not null,
       host text not null,
       pid integer not null,
       since timestamptz not null)`,
    `create or replace function ${schema}.refuse_change() returns trigger language plpgsql as
       $$ begin raise exception 'the evidence ledger is append-only'; end $$`,
    `create or replace trigger ledger_keeps_rows before update or delete on ${schema}.ledger
       for each row execute function ${schema}.refuse_change()`,
    `create or replace trigger ledger_keeps_all before truncate on ${schema}.ledger
       for each statement execute function ${schema}.refuse_change()`,
    // Not even a session that replicates gets round them.
    `alter table ${schema}.ledger enable always trigger ledger_keeps_rows`,
    `alter table ${schema}.ledger enable always trigger ledger_keeps_all`,
  ];
}
