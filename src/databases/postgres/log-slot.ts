import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import { quoteLiteral, type Connection } from './connect.ts';
import { formatLsn, readLsn } from './lsn.ts';
import type { ServerSettings } from './server-settings.ts';

/** What a server needs so that its log goes into the spool without a process per segment (contrib basic_archive, 15 on). */
export function archiveSettings(spoolDir: string, slotKeepMegabytes: number): ServerSettings {
  return {
    wal_level: 'replica',
    archive_mode: 'on',
    archive_library: 'basic_archive',
    'basic_archive.archive_directory': spoolDir,
    max_slot_wal_keep_size: `${slotKeepMegabytes}MB`,
  };
}

export interface LogSlot {
  name: string;
  /** Undefined: the server has thrown away log that the slot stood for (max_slot_wal_keep_size). */
  restartPosition: Position | undefined;
}

/**
 * Finds or makes the physical slot that keeps in pg_wal what is not yet in every archive. Throws `slotUnbounded` where
 * nothing bounds it: a slot whose reader is away would then fill production's disk.
 */
export async function ensureSlot(session: Connection, name: string): Promise<LogSlot> {
  if (!/^[a-z0-9_]{1,63}$/.test(name)) {
    throw new ClonaError('usage', `"${name}" cannot be the name of a replication slot`, {
      hint: 'lower-case letters, digits and underscores, at most 63',
    });
  }
  const [bound] = await session.query<{ megabytes: string }>(
    `SELECT setting AS megabytes FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size'`,
  );
  if (bound?.megabytes === '-1') {
    throw new ClonaError(
      'slotUnbounded',
      'a slot for the log archive would not be bounded: max_slot_wal_keep_size is -1',
      {
        hint: 'set max_slot_wal_keep_size to what the log disk can spare, and reload the server',
      },
    );
  }
  const found = await readSlot(session, name);
  if (found !== undefined) return found;
  await session
    .query(`SELECT pg_catalog.pg_create_physical_replication_slot($1, true)`, [name])
    .catch((error: unknown) => {
      // Another archiver was faster.
      if (sqlStateOf(error) !== '42710') throw error;
    });
  const made = await readSlot(session, name);
  if (made === undefined)
    throw new ClonaError('databaseFailed', `the slot ${name} is gone right after it was made`);
  return made;
}

/** Undefined where there is no such physical slot. */
export async function readSlot(session: Connection, name: string): Promise<LogSlot | undefined> {
  const [row] = await session.query<{ restart: string | null; status: string | null; type: string }>(
    `SELECT restart_lsn::text AS restart, wal_status AS status, slot_type AS type
       FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`,
    [name],
  );
  if (row === undefined) return undefined;
  if (row.type !== 'physical') {
    throw new ClonaError('databaseFailed', `the slot ${name} is a logical one of somebody else`, {
      hint: 'choose another name for the slot of the log archive',
    });
  }
  return { name, restartPosition: row.status === 'lost' ? undefined : readLsn(row.restart ?? '') };
}

/** Another archiver has the slot in hand, or moved it further meanwhile: what was to be done is done by it. */
const movedByOther = new Set(['55006', '55000']);

/** Lets the server forget the log below a position. A slot that stands further already stays where it is. */
export async function advanceSlot(session: Connection, name: string, to: Position): Promise<void> {
  try {
    // A slot never passes what the server has flushed.
    await session.query(
      `SELECT pg_catalog.pg_replication_slot_advance(slot_name, least($2::pg_lsn,
         CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END))
         FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND restart_lsn < $2::pg_lsn`,
      [name, formatLsn(to)],
    );
  } catch (error) {
    if (!movedByOther.has(sqlStateOf(error))) throw error;
  }
}

function sqlStateOf(error: unknown): string {
  const state = error instanceof ClonaError ? error.details?.['sqlState'] : undefined;
  return typeof state === 'string' ? state : '';
}

/** A slot that has lost log serves nobody; the archive's own gap check (R15, grade 2) says what is missing. */
export async function renewSlot(session: Connection, name: string): Promise<void> {
  await session.query(`SELECT pg_catalog.pg_drop_replication_slot($1)`, [name]);
  await session.query(`SELECT pg_catalog.pg_create_physical_replication_slot($1, true)`, [name]);
}

/** Ends the current segment, so that everything written so far gets archived. Returns the name of that segment. */
export async function switchLog(session: Connection): Promise<string> {
  // Without a record in the segment a switch does nothing and would name the segment before.
  const message = quoteLiteral('clona');
  const [row] = await session.query<{ name: string }>(
    `SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_switch_wal()) AS name
       FROM (SELECT pg_catalog.pg_logical_emit_message(false, ${message}, '')) AS written`,
  );
  if (row === undefined) throw new ClonaError('databaseFailed', 'the server did not switch its log');
  return row.name;
}
