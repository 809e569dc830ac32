import { createServer, type Server as Listener, type Socket } from 'node:net';
import { once } from 'node:events';
import { createFaults, type Faults, type Watch } from './faults.ts';
import type { User } from './instance/accounts.ts';
import { createBackend, type Server } from './instance/backend.ts';
import { createInstance, type Instance, type InstanceSettings } from './instance/instance.ts';
import { abort, startUp } from './instance/startup.ts';
import type { Given } from './sql/fixtures.ts';
import { WireSession } from './wire/session.ts';

export interface OracleSimOptions {
  /** Default: CLONA, who may do everything but SYSDBA, and SYS, both with the password below. */
  users?: User[];
  /** Rows of views instead of those that the instance shows; a function is asked at every query. */
  views?: Record<string, Iterable<Given> | (() => Iterable<Given>)>;
  instance?: Partial<InstanceSettings>;
}

/** A simulated Oracle server: driver-verified, not Oracle-verified. */
export interface OracleSim extends AsyncDisposable {
  connectString: string;
  host: string;
  port: number;
  user: string;
  password: string;
  instance: Instance;
  /** For what works on the machine itself: SQL*Plus, RMAN, Data Pump. */
  server: Server;
  faults: Faults;
  watch: Watch;
  /** The port is closed, or opened again; sessions live on. */
  stopListener(): Promise<void>;
  startListener(): Promise<void>;
  /** Breaks every connection, as the death of the node does. */
  killSessions(): void;
  /** The node dies and comes back: every session breaks, memory is gone, crash recovery opens it again. */
  restartNode(): void;
}

/** Not a secret: the password of the simulator's own users. */
export const simPassword = 'Sim_pa55';

export const defaultUsers: User[] = [
  { name: 'CLONA', password: simPassword, grants: ['DBA', 'CREATE SESSION'] },
  { name: 'SYS', password: simPassword, grants: ['SYSDBA', 'CREATE SESSION'] },
];

/** `await using sim = await startOracleSim({ … })`: a server on a free port of the loopback, in this process. */
export async function startOracleSim(options: OracleSimOptions = {}): Promise<OracleSim> {
  const { faults, watch, wire, beforeStatement } = createFaults();
  const instance = createInstance(options.instance ?? {}, options.users ?? structuredClone(defaultUsers));
  const shared: Server = { instance, given: options.views ?? {}, beforeStatement };
  const backend = createBackend(shared);
  const open = (socket: Socket): void => {
    wires.add(new WireSession(socket, backend, wire, (ended) => wires.delete(ended)));
  };
  const wires = new Set<WireSession>();
  let server = createServer(open);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const stopListener = async (): Promise<void> => {
    if (server.listening) await closeServer(server);
  };
  const killSessions = (): void => {
    for (const one of wires) one.end();
  };
  instance.endSessions = (id) => {
    for (const one of wires) if (id === undefined || one.sessionId === id) one.end();
  };
  const [first] = instance.users;
  return {
    host: '127.0.0.1',
    port,
    connectString: `127.0.0.1:${port}/${instance.settings.serviceName}`,
    user: first?.name ?? '',
    password: first?.password ?? '',
    instance,
    server: shared,
    faults,
    watch,
    stopListener,
    async startListener() {
      server = createServer(open);
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    killSessions,
    restartNode() {
      abort(instance);
      startUp(instance, { force: false, restricted: false, until: 'OPEN', pfile: null });
    },
    async [Symbol.asyncDispose]() {
      const stopped = stopListener();
      killSessions();
      await stopped;
    },
  };
}

/** Stops to accept at once; the sessions that there are stay open, so nothing waits for them. */
async function closeServer(server: Listener): Promise<void> {
  server.close();
  server.unref();
  await Promise.resolve();
}
