import type { Given } from '../sql/fixtures.ts';
import { fromControl, type Rows } from './view-rows.ts';

const count = 31;

/** LOG_ARCHIVE_DEST_n as the server reads it; a destination that nobody set is INACTIVE. */
function destinationRow(id: number, value: string, state: string, uniqueName: string): Given {
  const place = /^\s*(LOCATION|SERVICE)\s*=\s*"?([^\s"]+)"?/i.exec(value);
  const standby = place?.[1]?.toUpperCase() === 'SERVICE';
  const set = value.trim() !== '' && value.toUpperCase() !== 'NOLOCATION';
  return {
    DEST_ID: id,
    DEST_NAME: `LOG_ARCHIVE_DEST_${id}`,
    STATUS: set ? (/^defer/i.test(state) ? 'DEFERRED' : 'VALID') : 'INACTIVE',
    BINDING: /\bMANDATORY\b/i.test(value) || id === 1 ? 'MANDATORY' : 'OPTIONAL',
    TARGET: standby ? 'STANDBY' : 'PRIMARY',
    ARCHIVER: standby ? 'LGWR' : 'ARCH',
    DESTINATION: set ? (place?.[2] ?? value) : null,
    REOPEN_SECS: 300,
    REGISTER: 'YES',
    FAILURE_COUNT: 0,
    VALID_NOW: set ? 'YES' : 'UNKNOWN',
    DB_UNIQUE_NAME: set ? uniqueName : 'NONE',
    CON_ID: 0,
  };
}

export const destinationViews: Record<string, Rows> = {
  V$ARCHIVE_DEST: fromControl((_, __, { database, settings }) =>
    Array.from({ length: count }, (_, index) => {
      const value = database?.parameters.get(`log_archive_dest_${index + 1}`) ?? '';
      const state = database?.parameters.get(`log_archive_dest_state_${index + 1}`) ?? 'enable';
      return destinationRow(index + 1, value, state, settings.uniqueName);
    }),
  ),
};
