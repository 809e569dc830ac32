import { setTimeout as wait } from 'node:timers/promises';
import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import type { Command } from '../sql/session.ts';
import { opened } from './physical/database.ts';
import { holdShared } from './physical/change.ts';
import type { Session } from './session.ts';
import { databaseOf } from './startup.ts';
import { findPlace } from './tables.ts';

/** LOCK TABLE a, b IN SHARE MODE [NOWAIT | WAIT n]: other modes are not simulated. */
export function prepareLock(cursor: TokenCursor, session: Session): Command {
  cursor.expect('TABLE', 905, 'missing keyword');
  const names: { schema: string; name: string }[] = [];
  do {
    const first = cursor.name();
    names.push(
      cursor.accept('.') ? { schema: first, name: cursor.name() } : { schema: session.schema(), name: first },
    );
  } while (cursor.accept(','));
  if (!cursor.accept('IN', 'SHARE', 'MODE'))
    throw new OraError(1737, 'valid modes: [ROW] SHARE (others are not simulated)', cursor.token.at);
  const seconds = cursor.accept('NOWAIT') ? 0 : cursor.accept('WAIT') ? Number(cursor.next().text) : null;
  if (cursor.token.kind !== 'end') throw new OraError(933, 'SQL command not properly ended', cursor.token.at);
  return {
    async run() {
      const { instance, user } = session;
      const database = databaseOf(instance);
      const transaction = session.transaction();
      const until = Date.now() + (seconds ?? Number.POSITIVE_INFINITY) * 1000;
      for (const { schema, name } of names) {
        const place = findPlace(database, user, schema, name, 'LOCK', transaction);
        if (place === null) throw new OraError(942, 'table or view does not exist');
        while (!holdShared(database, transaction, place)) {
          opened(database);
          if (seconds === 0)
            throw new OraError(54, 'resource busy and acquire with NOWAIT specified or timeout expired');
          if (Date.now() > until)
            throw new OraError(30006, 'resource busy; acquire with WAIT timeout expired');
          await wait(5);
        }
      }
      return { rowCount: 0 };
    },
  };
}
