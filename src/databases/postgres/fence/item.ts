import { setTimeout as wait } from 'node:timers/promises';
import { quoteIdentifier, quoteLiteral, type Connection } from '../connect.ts';

/** A session in each database of a restored server, as superuser; triggers of the site do not fire in them. */
export interface FenceContext {
  /** In the database that was restored, or any of them: for what the whole server shares. */
  server: Connection;
  databases: { name: string; session: Connection }[];
  signal: AbortSignal;
}

/** One way out of a restored server (R21). Both functions may be repeated. */
export interface FenceItem {
  name: string;
  /** Cuts it off. */
  apply: (context: FenceContext) => Promise<void>;
  /** What still leads out, in words; empty: cut off. Looks at the server, not at what `apply` did. */
  findHoles: (context: FenceContext) => Promise<string[]>;
}

/** An address that resolves nowhere (RFC 2606): what is cut off keeps its form and leads to it. */
export const nowhere = 'clona.invalid';

export async function namesOf(
  session: Connection,
  query: string,
  values: readonly unknown[] = [],
): Promise<string[]> {
  return (await session.query<{ name: string }>(query, values)).map(({ name }) => name);
}

/** Sets server settings in postgresql.auto.conf and waits until they are read; those that do not exist are left out. */
export async function setServerSettings(
  { server, signal }: FenceContext,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const known = await server.query<{ name: string; context: string; setting: string; source: string }>(
    `SELECT name, context, setting, source FROM pg_settings WHERE name = ANY ($1)`,
    [Object.keys(settings)],
  );
  const reloaded: string[] = [];
  for (const { name, context, setting, source } of known) {
    const value = settings[name] ?? '';
    await server.query(`ALTER SYSTEM SET ${quoteSetting(name)} = ${quoteLiteral(value)}`);
    // A start option is stronger than the file, and what needs a restart is read then.
    const comesByReload = context === 'sighup' && source !== 'command line' && setting !== value;
    if (comesByReload) reloaded.push(name);
  }
  await server.query('SELECT pg_reload_conf()');
  for (let tries = 0; tries < 200; tries += 1) {
    const waiting = await namesOf(
      server,
      `SELECT name FROM pg_settings WHERE name = ANY ($1) AND setting <> ALL (ARRAY[($2::jsonb)->>name, '(disabled)'])`,
      [reloaded, JSON.stringify(settings)],
    );
    if (waiting.length === 0) return;
    await wait(25, undefined, { signal });
  }
}

/** `erp.smtp_host`: a setting of two parts is quoted part by part. */
export function quoteSetting(name: string): string {
  return name.split('.').map(quoteIdentifier).join('.');
}
