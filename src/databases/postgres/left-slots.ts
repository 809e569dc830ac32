import { ClonaError } from '../../errors.ts';
import type { Connection } from './connect.ts';

/** A replication slot on production that keeps its log, and for whom nobody works any more. */
export interface LeftSlot {
  name: string;
  /** Log that the server keeps for it; null: it has given the slot up. */
  keptBytes: number | null;
  /** Somebody reads it right now. */
  isActive: boolean;
}

/** Those of `names` that are there, in their order. */
export async function readSlots(session: Connection, names: readonly string[]): Promise<LeftSlot[]> {
  const rows = await session.query<{ name: string; kept: string | null; active: boolean }>(
    `SELECT slot_name AS name, active,
            CASE WHEN wal_status = 'lost' THEN NULL ELSE
              ((CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
                     ELSE pg_catalog.pg_current_wal_lsn() END) - restart_lsn)::bigint::text END AS kept
       FROM pg_catalog.pg_replication_slots
      WHERE slot_name = ANY($1) AND slot_type = 'physical' ORDER BY pg_catalog.array_position($1, slot_name::text)`,
    [[...names]],
  );
  return rows.map(({ name, kept, active }) => ({
    name,
    keptBytes: kept === null ? null : Math.max(0, Number(kept)),
    isActive: active,
  }));
}

/** Drops a slot that nobody reads; gone already: nothing to do. Throws `locked` where somebody does. */
export async function dropSlot(session: Connection, name: string): Promise<void> {
  try {
    await session.query(
      'SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
      [name],
    );
  } catch (error) {
    const state = error instanceof ClonaError ? error.details?.['sqlState'] : undefined;
    if (state === '42704') return;
    if (state !== '55006') throw error;
    throw new ClonaError('locked', `somebody reads the slot ${name}`, {
      cause: error,
      hint: 'clona serve, most likely: end it first',
    });
  }
}
