import { hostname } from 'node:os';
import { connect } from '../databases/postgres/connect.ts';
import { quoteIdentifier } from '../databases/postgres/connect.ts';
import { ClonaError } from '../errors.ts';
import type { Control } from './control.ts';
import { schemaName } from './schema.ts';

export interface LockHolder {
  who: string;
  what: string;
  host: string;
  pid: number;
  since: string;
}

export interface SiteLock extends AsyncDisposable {
  /** Aborted when the lock is lost while it is held (the session broke): stop at once, somebody else may begin. */
  lost: AbortSignal;
}

/**
 * Takes the site for one run, or throws `locked` and names the run that has it. The lock is the session's own: it
 * ends with the process, however that ends, so a dead owner's lock is taken over at once and by one only.
 */
export async function acquireSiteLock(
  control: Control,
  run: { who: string; what: string },
  now: Date,
): Promise<SiteLock> {
  const table = `${quoteIdentifier(schemaName(control.site))}.site_lock`;
  const session = await connect(control.address, undefined, { applicationName: `clona ${run.what}` });
  try {
    const [row] = await session.query<{ held: boolean }>(
      "select pg_try_advisory_lock(1129074498, hashtext('site ' || $1)) as held",
      [control.site],
    );
    if (row?.held !== true) throw lockedError(await readLockHolder(control));
    await session.query(
      `insert into ${table} values ('site', $1, $2, $3, $4, $5) on conflict (name) do update
         set who = excluded.who, what = excluded.what, host = excluded.host, pid = excluded.pid, since = excluded.since`,
      [run.who, run.what, hostname(), process.pid, now.toISOString()],
    );
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
  const lost = new AbortController();
  const onEnd = (): void =>
    lost.abort(
      new ClonaError('databaseFailed', 'the lock on the site was lost: the control database went away'),
    );
  session.client.once('end', onEnd);
  return {
    lost: lost.signal,
    [Symbol.asyncDispose]: async () => {
      session.client.off('end', onEnd);
      // The row goes first: whoever comes next never reads the name of one who has left.
      await session.query(`delete from ${table} where name = 'site'`).catch(() => {});
      await session[Symbol.asyncDispose]();
    },
  };
}

/** Who has the site, by the row; null: nobody, or one who has just gone. */
export async function readLockHolder(control: Control): Promise<LockHolder | null> {
  const [row] = await control.session.query<{
    who: string;
    what: string;
    host: string;
    pid: number;
    since: Date;
  }>(`select who, what, host, pid, since from ${quoteIdentifier(schemaName(control.site))}.site_lock`);
  return row === undefined ? null : { ...row, since: row.since.toISOString() };
}

/** True while a live session holds the lock, whatever the row says. */
export async function isSiteLocked(control: Control): Promise<boolean> {
  const rows = await control.session.query(
    `select 1 from pg_locks where locktype = 'advisory' and classid = 1129074498 and mode = 'ExclusiveLock' and granted
       and objid = (hashtext('site ' || $1)::bigint & 4294967295)::oid
       and database = (select oid from pg_database where datname = current_database())`,
    [control.site],
  );
  return rows.length > 0;
}

function lockedError(holder: LockHolder | null): ClonaError {
  const said =
    holder === null
      ? 'another run'
      : `${holder.what} of ${holder.who} (process ${holder.pid} on ${holder.host}, since ${holder.since})`;
  return new ClonaError('locked', `the site is locked by ${said}`, {
    hint: 'wait for it to end, or look at it with: clona status',
    details: holder === null ? undefined : { ...holder },
  });
}
