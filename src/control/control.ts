import type { DatabaseAddress } from '../databases/database.ts';
import { connect, type Connection } from '../databases/postgres/connect.ts';
import { ClonaError } from '../errors.ts';
import { createSchema } from './schema.ts';
import { openControlServer, type ControlServer } from './server.ts';

export interface ControlOptions {
  site: string;
  /** For the embedded server, the keys and the local copy of the head. */
  directory: string;
  /** Any PostgreSQL; undefined: the embedded one. */
  address?: DatabaseAddress | undefined;
  signal: AbortSignal;
}

/** The site's control database, open. Closing it stops the embedded server when nobody else uses it. */
export interface Control extends AsyncDisposable {
  site: string;
  directory: string;
  embedded: boolean;
  address: DatabaseAddress;
  /** A session for single statements and short transactions; calls queue up, so nothing long runs in it. */
  session: Connection;
}

export async function openControl(options: ControlOptions): Promise<Control> {
  const { site, directory, signal } = options;
  await using stack = new AsyncDisposableStack();
  let address = options.address;
  if (address === undefined) {
    const server: ControlServer = await openControlServer(directory, signal);
    stack.use(server);
    address = server.address;
  } else if (address.engine !== 'postgres') {
    throw new ClonaError('siteInvalid', 'the control database is a PostgreSQL', {
      hint: 'leave control.url out for the embedded one',
    });
  }
  // No signal once it is open: what was begun is written down to the end also when the work is interrupted.
  const session = stack.use(
    await connect(address, undefined, { applicationName: 'clona control', openSignal: signal }),
  );
  await createSchema(session, site);
  const owned = stack.move();
  return {
    site,
    directory,
    embedded: options.address === undefined,
    address,
    session,
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

const queues = new WeakMap<Connection, Promise<unknown>>();

/** Runs `work` in one transaction of the session; transactions of one session queue up. */
export async function inTransaction<Result>(
  session: Connection,
  work: () => Promise<Result>,
): Promise<Result> {
  const before = queues.get(session) ?? Promise.resolve();
  const own = before.then(async () => {
    await session.query('begin');
    try {
      const result = await work();
      await session.query('commit');
      return result;
    } catch (error) {
      await session.query('rollback').catch(() => {});
      throw error;
    }
  });
  queues.set(
    session,
    own.catch(() => {}),
  );
  return own;
}
