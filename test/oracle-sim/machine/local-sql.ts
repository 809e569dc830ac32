import type { User } from '../instance/accounts.ts';
import { openLocalHost, openUserHost, type Server } from '../instance/backend.ts';
import { openSqlSession } from '../sql/session.ts';
import type { BackendSession, Outcome } from '../wire/backend.ts';
import type { Column } from '../wire/values.ts';

export interface LocalSql extends Disposable {
  /** Runs one statement without semicolon, or one block. */
  run(sql: string): Promise<{ columns: readonly Column[]; outcome: Outcome; kind: string }>;
  session: BackendSession;
}

/** A session `/ AS SYSDBA` of a program on the machine, also when nothing is started; or of a user who has logged on. */
export function openLocalSql(server: Server, user: User | null = null): LocalSql {
  const session = openSqlSession(1, 1, user === null ? openLocalHost(server) : openUserHost(server, user));
  return {
    session,
    async run(sql) {
      const prepared = session.prepare(sql);
      const outcome = await session.execute(prepared, [], new AbortController().signal);
      return { columns: prepared.columns, outcome, kind: prepared.kind };
    },
    [Symbol.dispose]: () => session.close(),
  };
}
