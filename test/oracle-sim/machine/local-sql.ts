import { openLocalHost, type Server } from '../instance/backend.ts';
import { openSqlSession } from '../sql/session.ts';
import type { BackendSession, Outcome } from '../wire/backend.ts';
import type { Column } from '../wire/values.ts';

export interface LocalSql extends Disposable {
  /** Runs one statement without semicolon, or one block. */
  run(sql: string): Promise<{ columns: readonly Column[]; outcome: Outcome; kind: string }>;
  session: BackendSession;
}

/** A session `/ AS SYSDBA` of a program on the machine: also when nothing is started. */
export function openLocalSql(server: Server): LocalSql {
  const session = openSqlSession(1, 1, openLocalHost(server));
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
