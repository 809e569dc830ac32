import { findWrong, readParameters, setParameters, type OracleFenceItem } from './item.ts';

/** Where the log goes: the clone's own recovery area and nowhere else; no standby, no broker. */
const shipping = { dg_broker_start: 'FALSE', fal_server: '', log_archive_duplex_dest: '' };

export const archiving: OracleFenceItem = {
  name: 'archive destinations and log shipping',
  apply: async ({ session, recoveryDir, recoveryBytes }) => {
    await setParameters(session, { db_recovery_file_dest_size: String(recoveryBytes) });
    await setParameters(session, { db_recovery_file_dest: recoveryDir });
    // The own place first: a database without any stops at its next switch of the log, and may not be left without (ORA-16028).
    const old = (await readParameters(session, ['log_archive_dest'])).get('log_archive_dest') ?? '';
    // The old way to name a destination goes with no numbered one (ORA-16019).
    await setParameters(
      session,
      old === ''
        ? { log_archive_dest_1: 'LOCATION=USE_DB_RECOVERY_FILE_DEST', log_archive_dest_state_1: 'enable' }
        : { log_archive_dest: recoveryDir },
    );
    const rows = await session.query(
      `SELECT DEST_ID, DESTINATION FROM V$ARCHIVE_DEST WHERE STATUS <> 'INACTIVE' AND DEST_ID BETWEEN 2 AND 31`,
    );
    for (const [id, place] of rows) {
      if (isOwn(place ?? null, recoveryDir)) continue;
      await setParameters(session, { [`log_archive_dest_${Number(id)}`]: '' });
    }
    await setParameters(session, shipping);
  },
  findHoles: async ({ session, recoveryDir }) => {
    // DEFERRED counts: one word to the server, or the next restart of a memory-only change, and it is used.
    const rows = await session.query(
      `SELECT DEST_ID, DESTINATION, TARGET, STATUS FROM V$ARCHIVE_DEST WHERE STATUS <> 'INACTIVE'`,
    );
    const out = rows
      .filter(([, place = null, target]) => target === 'STANDBY' || !isOwn(place, recoveryDir))
      .map(
        ([id, place, , status]) =>
          `destination ${id ?? ''} leads to ${place ?? 'nowhere that can be named'}${status === 'DEFERRED' ? ' (deferred)' : ''}`,
      );
    const area = await session.query('SELECT NAME FROM V$RECOVERY_FILE_DEST');
    const foreign = area
      .filter(([name]) => name !== recoveryDir)
      .map(([name]) => `the recovery area is ${name ?? ''}`);
    return [...out, ...foreign, ...(await findWrong(session, shipping))];
  },
};

function isOwn(place: string | null, recoveryDir: string): boolean {
  if (place === 'USE_DB_RECOVERY_FILE_DEST' || place === recoveryDir) return true;
  const inside = ['/', '\\'].some((separator) => place?.startsWith(`${recoveryDir}${separator}`) === true);
  return inside && place?.includes('..') === false;
}
