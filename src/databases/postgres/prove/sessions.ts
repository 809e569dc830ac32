import { ClonaError } from '../../../errors.ts';
import type { DatabaseAddress } from '../../database.ts';
import { connect, databaseError, type Connection } from '../connect.ts';

/** What went wrong with one object; a proof collects all of them. */
export interface ProofProblem {
  /** Table, index, constraint or file: as people read it. */
  object: string;
  /** read: the restored database does not give it; write: the import refuses it. */
  stage: 'read' | 'write' | 'constraint' | 'count' | 'check' | 'sequence' | 'large-object';
  message: string;
  sqlState: string | null;
}

/**
 * Turns an error into a problem of one object. Thrown on are a stop by the signal, and that the server has no disk,
 * memory or connections left (class 53, appendix A of the manual): that says nothing about the archive.
 */
export function toProblem(
  object: string,
  stage: ProofProblem['stage'],
  thrown: unknown,
  signal: AbortSignal,
): ProofProblem {
  if (signal.aborted) throw databaseError(thrown, undefined, signal);
  const error = databaseError(thrown);
  const sqlState = error.details?.['sqlState'];
  if (typeof sqlState === 'string' && sqlState.startsWith('53')) throw exhausted(error, sqlState);
  const message = error.message.replace(/^the database says: /, '');
  return { object, stage, message, sqlState: typeof sqlState === 'string' ? sqlState : null };
}

function exhausted(error: ClonaError, sqlState: string): ClonaError {
  const said = error.message.replace(/^the database says: /, '');
  if (sqlState === '53100') {
    return new ClonaError('diskFull', `the disk of the server that proves is full: ${said}`, {
      cause: error,
      hint: 'the proof copies the database once more: free as much space as it has, and try again',
    });
  }
  return new ClonaError('databaseFailed', `the server that proves cannot go on: ${said}`, { cause: error });
}

/**
 * Settings under which COPY text carries every value exactly, no trigger fires and nothing times out. The client's
 * encoding is the server's own: no conversion on the way out, validation on the way in.
 */
const faithfulSettings = [
  `SET session_replication_role = replica`,
  `SET row_security = off`,
  `SET statement_timeout = 0`,
  `SET lock_timeout = 0`,
  `SET idle_in_transaction_session_timeout = 0`,
  `SET default_transaction_read_only = off`,
  `SET datestyle = 'ISO, MDY'`,
  `SET intervalstyle = postgres`,
  `SET bytea_output = hex`,
  `SET xmloption = content`,
  `SET extra_float_digits = 1`,
  `SET synchronous_commit = off`,
  `SELECT set_config('client_encoding', current_setting('server_encoding'), false)`,
  `SELECT set_config('transaction_timeout', '0', false) WHERE current_setting('server_version_num')::int >= 170000`,
  `SELECT set_config('event_triggers', 'off', false) WHERE current_setting('server_version_num')::int >= 170000`,
] as const;

/** A session as superuser for reading or filling a database faithfully. */
export async function openFaithful(
  address: DatabaseAddress,
  database: string,
  signal: AbortSignal,
): Promise<Connection> {
  const session = await connect({ ...address, database }, signal, { applicationName: 'clona prove' });
  try {
    for (const statement of faithfulSettings) await session.query(statement);
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Closes a session whatever state its protocol is in: one that is in the middle of a COPY never answers a goodbye.
 * Its server process ends with the socket.
 */
export function dropSession(session: Connection): void {
  const { connection } = session.client as unknown as { connection?: { stream?: { destroy: () => void } } };
  connection?.stream?.destroy();
}

export async function requireSuperuser(session: Connection): Promise<void> {
  const [row] = await session.query<{ super: boolean }>(
    `SELECT rolsuper AS super FROM pg_roles WHERE rolname = current_user`,
  );
  if (row?.super === true) return;
  throw new ClonaError('databaseFailed', 'the proof of a restored database needs its superuser', {
    hint: 'give the address with the superuser of the restored server',
  });
}

/** Runs `work` over all items, `lanes` at a time, in their order. The first throw ends it. */
export async function inLanes<Item>(
  lanes: number,
  items: readonly Item[],
  work: (item: Item, lane: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const run = async (lane: number): Promise<void> => {
    while (!failed) {
      const item = items[next];
      if (item === undefined) return;
      next += 1;
      try {
        await work(item, lane);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const count = Math.max(1, Math.min(lanes, items.length));
  const ends = await Promise.allSettled(Array.from({ length: count }, async (_, lane) => run(lane)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
