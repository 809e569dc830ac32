import { holds } from '../instance/accounts.ts';
import { mounted } from '../instance/physical/database.ts';
import type { Session } from '../instance/session.ts';
import { databaseOf } from '../instance/startup.ts';
import { OraError } from '../wire/values.ts';
import type { Routine } from './run.ts';
import { textOf } from './values.ts';

/** DBMS_FLASHBACK, for whom it was granted: the queries of this session see an earlier moment. */
export function flashbackRoutines(session: Session): Record<string, Routine> {
  if (!holds(session.user, 'EXECUTE ON SYS.DBMS_FLASHBACK', 'EXECUTE ON DBMS_FLASHBACK')) return {};
  return {
    'DBMS_FLASHBACK.ENABLE_AT_SYSTEM_CHANGE_NUMBER': {
      parameters: ['QUERY_SCN'],
      run({ QUERY_SCN }) {
        const text = textOf(QUERY_SCN!.value) ?? '';
        const scn = /^\d+$/.test(text) ? BigInt(text) : -1n;
        if (scn < 0n || scn > mounted(databaseOf(session.instance)).scn)
          throw new OraError(8181, 'specified number is not a valid system change number');
        session.setAsOf(scn);
        return null;
      },
    },
    'DBMS_FLASHBACK.DISABLE': {
      parameters: [],
      run() {
        session.setAsOf(null);
        return null;
      },
    },
  };
}
