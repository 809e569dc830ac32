import type { Connection } from '../databases/postgres/connect.ts';
import { formatDuration, formatSize } from '../site/units.ts';
import { failed, ok, skipped, warning, type Finding, type Patient } from './check.ts';
import { settingRules, type SettingRule } from './setting-rules.ts';

/** Only this check reports that there is no way in; the others then are silent about it. */
export async function databaseReachable({ production }: Patient): Promise<Finding[]> {
  const { address } = await production();
  const { describeAddress } = await import('../databases/postgres/connect.ts');
  return [ok(`production answers at ${describeAddress(address)}`)];
}

/** The session, or undefined when `databaseReachable` has already said why there is none. */
async function session({ production }: Patient): Promise<Connection | undefined> {
  return production().then(
    ({ connection }) => connection,
    () => undefined,
  );
}

export async function databaseVersion(patient: Patient): Promise<Finding[]> {
  const connection = await session(patient);
  if (connection === undefined) return [];
  const [row] = await connection.query<{ number: number; version: string; standby: boolean }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as version,
       pg_is_in_recovery() as standby`,
  );
  if (row === undefined) return [];
  const major = Math.floor(row.number / 10_000);
  const found =
    major >= 15 && major <= 18
      ? [ok(`PostgreSQL ${row.version}`)]
      : [failed(`PostgreSQL ${row.version}: clona knows 15 to 18`, 'upgrade the server, or clona')];
  if (row.standby) {
    found.push(
      warning(
        'this server is a standby: production itself is another one',
        'give the address of the primary',
      ),
    );
  }
  return found;
}

/** Each setting against its row of settingRules. */
export async function databaseSettings(patient: Patient): Promise<Finding[]> {
  const connection = await session(patient);
  if (connection === undefined) return [];
  const rows = await connection.query<{ name: string; setting: string }>(
    'select name, setting from pg_settings where name = any($1)',
    [settingRules.map(({ name }) => name)],
  );
  const settings = new Map(rows.map(({ name, setting }) => [name, setting]));
  const found: Finding[] = [];
  const fine: string[] = [];
  for (const rule of rulesOf(patient)) {
    const value = settings.get(rule.name);
    if (value === undefined) continue; // an older server that has no such setting
    const verdict = rule.judge(value, settings);
    if (verdict === undefined) {
      fine.push(`${rule.name} ${value === '' ? '(empty)' : value}`);
      continue;
    }
    const state = rule.severity === 'failed' ? failed : warning;
    found.push(state(`${rule.name} is ${value === '' ? 'empty' : value}: ${verdict}`, rule.mend));
  }
  return fine.length === 0 ? found : [ok(`settings: ${fine.join(', ')}`), ...found];
}

/** Where the log is streamed the server need not hand it over by itself (docs/decisions/0112). */
function rulesOf({ site }: Patient): readonly SettingRule[] {
  if (site.machines.platform !== 'vsphere') return settingRules;
  return settingRules.filter(({ name }) => !name.startsWith('archive_'));
}

/** What a backup needs: the replication protocol, or the right to begin one by SQL. */
export async function databaseRights(patient: Patient): Promise<Finding[]> {
  const connection = await session(patient);
  if (connection === undefined) return [];
  const [row] = await connection.query<{
    role: string;
    replication: boolean;
    start: boolean;
    reads: boolean;
  }>(
    `select current_user as role, r.rolreplication or r.rolsuper as replication,
       has_function_privilege('pg_backup_start(text, boolean)', 'execute') as start,
       r.rolsuper or pg_has_role(r.oid, 'pg_read_all_settings', 'usage') as reads
     from pg_roles r where r.rolname = current_user`,
  );
  if (row === undefined) return [];
  const found: Finding[] = [];
  if (row.replication) found.push(ok(`${row.role} may back up by the replication protocol`));
  else if (row.start) {
    found.push(
      warning(
        `${row.role} lacks REPLICATION: backups are hot ones, copied by SQL where the files are on another host`,
        `alter role "${row.role}" replication`,
      ),
    );
  } else {
    found.push(failed(`${row.role} may not back up`, `alter role "${row.role}" replication`));
  }
  if (!row.reads) {
    found.push(
      warning(`${row.role} does not see every setting`, `grant pg_read_all_settings to "${row.role}"`),
    );
  }
  return found;
}

/** Archiving that fails, and slots that hold the log back or have been left behind. */
export async function logArchiving(patient: Patient): Promise<Finding[]> {
  const connection = await session(patient);
  if (connection === undefined) return [];
  const found: Finding[] = [];
  const [archiver] = await connection.query<{
    failing: boolean | null;
    wal: string | null;
    archived: string;
  }>(
    `select last_failed_time > coalesce(last_archived_time, '-infinity') as failing, last_failed_wal as wal,
       archived_count as archived from pg_stat_archiver`,
  );
  if (archiver?.failing === true) {
    found.push(
      failed(
        `archiving fails at ${archiver.wal ?? 'some segment'}`,
        "the reason stands in the server's log; until it is mended the log area fills",
        6,
      ),
    );
  } else if (archiver !== undefined && patient.site.machines.platform === 'local')
    found.push(ok(`archiving works: ${archiver.archived} segments so far`));
  const slots = await connection.query<{ name: string; active: boolean; status: string; held: string }>(
    `select slot_name as name, active, coalesce(wal_status, 'unknown') as status,
       coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint as held
     from pg_replication_slots where not pg_is_in_recovery()`,
  );
  for (const { name, active, status, held } of slots) {
    const said = `the slot ${name} holds ${formatSize(Number(held))} of log`;
    if (status === 'lost') {
      found.push(
        failed(`the slot ${name} has lost its log: a gap`, 'take a backup, then drop and make the slot anew'),
      );
    } else if (active || Number(held) < 2e9) found.push(ok(said));
    else
      found.push(
        warning(
          `${said} and nobody reads it`,
          `if its reader is gone: select pg_drop_replication_slot('${name}')`,
        ),
      );
  }
  return found;
}

/** R9: what changes without redo cannot be recovered. */
export async function unloggedTables(patient: Patient): Promise<Finding[]> {
  const connection = await session(patient);
  if (connection === undefined) return [];
  const rows = await connection.query<{ name: string }>(
    "select oid::regclass::text as name from pg_class where relkind = 'r' and relpersistence = 'u' order by 1",
  );
  if (rows.length === 0) return [ok('no unlogged table')];
  const names = rows.map(({ name }) => name);
  return [
    warning(
      `unlogged tables are empty after every restore: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`,
      'alter table … set logged, where their rows matter',
    ),
  ];
}

/** One that nobody ended holds its locks over restarts: counts get no lock, and a promotion does not come to rest (R20). */
export async function preparedTransactions(patient: Patient): Promise<Finding[]> {
  const connection = await session(patient);
  if (connection === undefined) return [];
  const rows = await connection.query<{ gid: string; database: string; age: string }>(
    `select quote_literal(gid) as gid, database, (extract(epoch from now() - prepared))::bigint::text as age
       from pg_prepared_xacts where prepared < now() - interval '1 minute' order by prepared`,
  );
  return rows.map(({ gid, database, age }) =>
    warning(
      `a prepared transaction of database ${database} waits since ${formatDuration(Number(age) * 1000)}`,
      `end it there: commit prepared ${gid}, or rollback prepared ${gid}`,
    ),
  );
}

/** Times in evidence, windows and time targets are compared between hosts. */
export async function clocks(patient: Patient): Promise<Finding[]> {
  const connection = await session(patient);
  if (connection === undefined) return [];
  const before = Date.now();
  const [row] = await connection.query<{ now: Date }>('select clock_timestamp() as now');
  if (row === undefined) return [skipped('the clock of production is not known')];
  const apart = Math.abs(row.now.getTime() - (before + Date.now()) / 2);
  if (apart < 2000) return [ok(`the clocks of production and of this host agree`)];
  return [
    warning(
      `the clocks of production and of this host are ${formatDuration(apart)} apart`,
      'run a time service (NTP) on both',
    ),
  ];
}
