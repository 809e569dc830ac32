import { ClonaError } from '../../../errors.ts';
import { withProgress, type OnProgress } from '../../../progress.ts';
import type { DatabaseAddress } from '../../database.ts';
import { connect, quoteLiteral, type Connection } from '../connect.ts';
import { archiving } from './archiving.ts';
import { namesOf, type FenceContext, type FenceItem } from './item.ts';
import { jobs } from './jobs.ts';
import { links } from './links.ts';
import { mail } from './mail.ts';
import { replication } from './replication.ts';

/** One way out that only the site knows (e-invoicing, bank, fiscal devices): SQL that cuts it off, and a test of it. */
export interface FenceRule {
  name: string;
  sql: string;
  /** Gives one row whose first column is true when it is cut off. */
  check: string;
}

export interface FenceOptions {
  /** Superuser of the restored server, before anyone is let in; `database` is the restored one, where the site's SQL runs. */
  address: DatabaseAddress;
  rules: readonly FenceRule[];
  /** For tests: the fence without one of its parts. Default: `fenceItems`. */
  items?: readonly FenceItem[];
  signal: AbortSignal;
  onProgress: OnProgress;
}

export interface FenceFact {
  name: string;
  holds: boolean;
  /** What still leads out; empty when it holds. */
  holes: string[];
}

export interface FenceReport {
  /** Every part holds, tested after all were put up. */
  fenced: boolean;
  parts: FenceFact[];
}

/** The ways out that every PostgreSQL server may have (R21). The network is the machine's part. */
export const fenceItems: readonly FenceItem[] = [archiving, replication, jobs, links, mail];

/**
 * Puts the fence up round a restored server and tests all of it. May be repeated. A part that cannot be put up is
 * thrown; a part that does not hold is in the report, and nobody may be let in.
 */
export async function applyFence(options: FenceOptions): Promise<FenceReport> {
  const { onProgress, items = fenceItems } = options;
  return withContext(options, async (context) => {
    for (const item of [...items, ...siteItems(options)]) {
      await withProgress(onProgress, `fence: ${item.name}`, async () => item.apply(context));
    }
    return testFence(options, context);
  });
}

/** Tests the fence without touching it: before each opening, and whenever somebody wants to know. */
export async function checkFence(options: FenceOptions): Promise<FenceReport> {
  return withContext(options, async (context) => testFence(options, context));
}

/** As `applyFence`, for callers that go no further with a hole: throws `fenceFailed` naming every one. */
export async function requireFence(options: FenceOptions): Promise<FenceReport> {
  const report = await applyFence(options);
  if (report.fenced) return report;
  const open = report.parts.filter(({ holds }) => !holds);
  const said = open.map(({ name, holes }) => `${name}: ${holes.join(', ')}`).join('; ');
  throw new ClonaError('fenceFailed', `the fence round the restored database has holes: ${said}`, {
    hint: 'nobody is let in; mend staging.fence in the site file and run it again',
    details: { parts: open },
  });
}

async function testFence(options: FenceOptions, context: FenceContext): Promise<FenceReport> {
  const parts: FenceFact[] = [];
  // Always all of them, whatever was put up: a fence with a part left out is found here.
  for (const { name, findHoles } of [...fenceItems, ...siteItems(options)]) {
    const holes = await findHoles(context);
    parts.push({ name, holds: holes.length === 0, holes });
  }
  return { fenced: parts.every(({ holds }) => holds), parts };
}

function siteItems({ rules, address }: FenceOptions): FenceItem[] {
  return rules.map(({ name, sql, check }) => ({
    name,
    apply: async ({ databases }) => {
      await restoredSession(databases, address).query(sql);
    },
    findHoles: async ({ databases }) => {
      const rows = await restoredSession(databases, address).query(check.trim().replace(/;\s*$/, ''));
      const [row] = rows;
      return row !== undefined && Object.values(row)[0] === true ? [] : ['its check does not give true'];
    },
  }));
}

function restoredSession(databases: FenceContext['databases'], address: DatabaseAddress): Connection {
  const found = databases.find(({ name }) => name === address.database);
  if (found === undefined)
    throw new ClonaError('fenceFailed', `there is no database ${address.database} to fence`);
  return found.session;
}

async function withContext<Result>(
  { address, signal }: FenceOptions,
  work: (context: FenceContext) => Promise<Result>,
): Promise<Result> {
  await using sessions = new AsyncDisposableStack();
  const open = async (database: string): Promise<Connection> => {
    const session = sessions.use(
      await connect({ ...address, database }, signal, { applicationName: 'clona fence' }),
    );
    // What the site's own triggers would do with the changes is what a fence is for.
    await session.query('SET session_replication_role = replica');
    await session.query('SET default_transaction_read_only = off');
    await session.query(
      `SELECT set_config('event_triggers', 'off', false) WHERE current_setting('server_version_num')::int >= 170000`,
    );
    return session;
  };
  const server = await open(address.database);
  const names = await namesOf(
    server,
    `SELECT datname AS name FROM pg_database WHERE datallowconn AND datname <> ${quoteLiteral('template0')} ORDER BY 1`,
  );
  const databases: FenceContext['databases'] = [];
  for (const name of names) {
    databases.push({ name, session: name === address.database ? server : await open(name) });
  }
  return await work({ server, databases, signal });
}
