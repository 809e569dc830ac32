import { setTimeout as sleep } from 'node:timers/promises';
import type { Session } from '../instance/session.ts';
import { OraError } from '../wire/values.ts';
import type { Routine } from './run.ts';
import { numberOf, textOf } from './values.ts';

/** DBMS_SESSION: what others find a session by, and a statement that takes its time. */
export function sessionRoutines({ instance, context }: Session): Record<string, Routine> {
  const id = Number(context.userEnvironment('SID'));
  return {
    'DBMS_SESSION.SET_IDENTIFIER': {
      parameters: ['CLIENT_ID'],
      run({ CLIENT_ID }) {
        const info = instance.sessions.get(id);
        if (info !== undefined) info.clientIdentifier = textOf(CLIENT_ID!.value) ?? '';
        return null;
      },
    },
    'DBMS_SESSION.SLEEP': {
      parameters: ['SECONDS'],
      async run({ SECONDS }) {
        const until = performance.now() + (numberOf(SECONDS!.value) ?? 0) * 1000;
        while (performance.now() < until) {
          // As on a real server: that the client is gone is not noticed here, only that the session was killed.
          if (!instance.sessions.has(id)) throw new OraError(28, 'your session has been killed');
          await sleep(5);
        }
        return null;
      },
    },
  };
}
