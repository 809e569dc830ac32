/**
 * What a site's smoke tests import as `clona/smoke`. It runs inside vitest, in a process of its own; the machine
 * under test comes from there (`inject`), never from arguments or the environment.
 */
import type { Duplex } from 'node:stream';
import { inject, test as base } from 'vitest';
import { connect, type Connection } from '../databases/postgres/connect.ts';
import { ClonaError } from '../errors.ts';
import type { CommandResult, Guest } from '../guest/guest.ts';
import { openGuest } from '../guest/open.ts';
import { requestThrough, type HttpAnswer, type HttpRequest } from './http.ts';
import type { SmokeMachine } from './machine.ts';
import { openOracleSql } from './oracle-sql.ts';
import type { Sql } from './sql.ts';
export type { Sql } from './sql.ts';

export { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
export type { HttpAnswer, HttpRequest } from './http.ts';

declare module 'vitest' {
  interface ProvidedContext {
    clonaMachine: SmokeMachine;
  }
}

export interface SmokeFixtures {
  /** The machine under test. */
  machine: Pick<SmokeMachine, 'name' | 'role' | 'systemDisk' | 'dataDisk'>;
  /**
   * A session of the test's own in one transaction, which is rolled back when the test ends; on LIVE it is
   * read-only. (Numbers drawn from a sequence stay drawn; with Oracle DDL commits by itself, so it has no place in a test.)
   */
  sql: Sql;
  /** Runs a command in the guest and gives exit code and output as they are. */
  ssh: (argv: readonly string[]) => Promise<CommandResult>;
  /** A request as from inside the machine, whose network is isolated; a path counts from the site's base. */
  http: (address: string, request?: HttpRequest) => Promise<HttpAnswer>;
  /** A connection to a port as seen from inside the machine. */
  tcp: (to: { host?: string; port: number }) => Promise<Duplex>;
}

interface AllFixtures extends SmokeFixtures {
  guest: () => Promise<Guest>;
}

const withMachine = base.extend<AllFixtures>({
  // oxlint-disable-next-line no-empty-pattern -- vitest reads the names of fixtures from this pattern
  machine: async ({}, use) => {
    const { name, role, systemDisk, dataDisk } = inject('clonaMachine');
    await use({ name, role, systemDisk, dataDisk });
  },
  // oxlint-disable-next-line no-empty-pattern -- as above
  sql: async ({}, use) => {
    const { database, role } = inject('clonaMachine');
    if (database.engine === 'oracle') {
      await using oracle = openOracleSql(database, role);
      await use(oracle.sql);
      return;
    }
    const stop = new AbortController();
    let opened: Promise<Connection> | undefined;
    const open = async (): Promise<Connection> => {
      const connection = await connect(database, stop.signal, { applicationName: 'clona smoke' });
      await connection.query(role === 'live' ? 'BEGIN READ ONLY' : 'BEGIN');
      return connection;
    };
    await use(
      async <Row extends Record<string, unknown>>(
        text: TemplateStringsArray,
        ...values: readonly unknown[]
      ) => {
        const connection = await (opened ??= open());
        const parts = text.map((part, index) => (index === 0 ? part : `$${index}${part}`));
        return connection.query<Row>(parts.join(''), values);
      },
    );
    const connection = await opened?.catch(() => undefined);
    // A session that ends without COMMIT is rolled back.
    await connection?.[Symbol.asyncDispose]();
  },
  // oxlint-disable-next-line no-empty-pattern -- as above
  guest: async ({}, use) => {
    const { guest: address } = inject('clonaMachine');
    const stop = new AbortController();
    let opened: Promise<Guest> | undefined;
    await use(() => {
      if (address === null)
        throw new ClonaError('usage', 'the machine under test has no guest: ssh, http and tcp need it');
      return (opened ??= openGuest(address, stop.signal));
    });
    const guest = await opened?.catch(() => undefined);
    await guest?.[Symbol.asyncDispose]();
  },
  ssh: async ({ guest }, use) => {
    await use(async (argv) =>
      (await guest()).run(argv, { signal: new AbortController().signal, timeoutMs: 60_000 }),
    );
  },
  tcp: async ({ guest }, use) => {
    const opened: Duplex[] = [];
    await use(async ({ host = '127.0.0.1', port }) => {
      const stream = await (await guest()).forward({ host, port }, new AbortController().signal);
      opened.push(stream);
      return stream;
    });
    for (const stream of opened) stream.destroy();
  },
  http: async ({ tcp }, use) => {
    await use(async (address, request = {}) => {
      const { httpBase } = inject('clonaMachine');
      if (httpBase === null && !URL.canParse(address)) {
        throw new ClonaError(
          'usage',
          `"${address}" has no base: give a whole address, as seen from inside the machine`,
        );
      }
      const url = new URL(address, httpBase ?? undefined);
      const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
      return requestThrough(await tcp({ host: url.hostname.replace(/^\[|\]$/g, ''), port }), url, request);
    });
  },
});

/** vitest's `test` with the machine under test. */
export const test = withMachine;
