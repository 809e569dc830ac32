import { existsSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type Server as Listener, type Socket } from 'node:net';
import { join } from 'node:path';
import type { User } from '../instance/accounts.ts';
import { createBackend, type Server } from '../instance/backend.ts';
import { createInstance, type Instance } from '../instance/instance.ts';
import { startUp } from '../instance/startup.ts';
import { serveTools, type ToolCall, type ToolResult } from '../machine/tools.ts';
import type { Backend } from '../wire/backend.ts';
import { WireSession } from '../wire/session.ts';
import { createDatabaseByAssistant } from './dbca.ts';

/** Oracle's software of one machine: everything it knows lies in files of its disks. */
export interface OracleMachineSettings {
  /** ORACLE_HOME: programs, `dbs` with SPFILEs and password files, `oratab`. */
  home: string;
  hostName: string;
  port: number;
  /** A second place where the listener answers: what the machine's network card is joined to. */
  socket: string;
  /** An online log is full and switched when it holds so much redo. */
  logBytes: number;
}

interface Running {
  settings: OracleMachineSettings;
  /** By ORACLE_SID. */
  servers: Map<string, Server>;
  wires: Map<WireSession, Instance>;
}

/** Programs, listener, and the instances that `oratab` says start with the machine. One process: it dies as a machine does. */
export async function startOracleMachine(settings: OracleMachineSettings): Promise<void> {
  const running: Running = { settings, servers: new Map(), wires: new Map() };
  await serveTools(settings.home, (call) => serverOf(running, call));
  await listen(running, (listener) => listener.listen(settings.port, '127.0.0.1'));
  // A power cut leaves the socket's name behind.
  rmSync(settings.socket, { force: true });
  await listen(running, (listener) => listener.listen(settings.socket));
  for (const sid of startedAtBoot(settings.home)) {
    try {
      startUp(serverFor(running, sid).instance, {
        force: false,
        restricted: false,
        until: 'OPEN',
        pfile: null,
      });
    } catch (error) {
      process.stderr.write(`${sid}: ${String(error)}\n`);
    }
  }
}

/** `SID:ORACLE_HOME:Y`, as dbstart reads it. */
function startedAtBoot(home: string): string[] {
  const path = join(home, 'oratab');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  return lines.flatMap((line) => /^(\w+):[^:]*:Y$/.exec(line.trim())?.[1] ?? []);
}

async function listen(running: Running, start: (listener: Listener) => void): Promise<void> {
  const listener = createServer({ noDelay: true }, (socket) => accept(running, socket));
  start(listener);
  await once(listener, 'listening');
}

/** The listener hands a connection to the instance that registered the service. */
function accept(running: Running, socket: Socket): void {
  let chosen: Backend | undefined;
  let instance: Instance | undefined;
  const backend: Backend = {
    listen(connectData) {
      let refusal = connectData.serviceName === null ? 12505 : 12514;
      const found = [...running.servers.values()].find((one) => {
        refreshPasswordFile(running.settings.home, one.instance);
        const answer = createBackend(one).listen(connectData);
        if (answer !== 12505 && answer !== 12514) refusal = answer;
        return answer === 0;
      });
      if (found === undefined) return refusal;
      chosen = createBackend(found);
      instance = found.instance;
      running.wires.set(wire, instance);
      return 0;
    },
    findAccount: (name) => chosen!.findAccount(name), // nobody logs on before the listener has chosen
    identity: () => chosen!.identity(),
    logOn: (account, privilege) => chosen!.logOn(account, privilege),
  };
  const faults = { beforeCall: () => ({ drop: false, waitMs: 0 }) };
  const wire = new WireSession(socket, backend, faults, (ended) => running.wires.delete(ended));
}

async function createByAssistant(running: Running, call: ToolCall): Promise<ToolResult> {
  const { home, hostName } = running.settings;
  const { result, instance } = await createDatabaseByAssistant(call, home, hostName);
  adopt(running, instance);
  return result;
}

function serverOf(running: Running, call: ToolCall): Server | ToolResult | Promise<ToolResult> {
  if (call.tool === 'dbca') return createByAssistant(running, call);
  const sid = call.environment['ORACLE_SID'] ?? '';
  if (sid === '')
    return { stdout: 'ERROR:\nORA-12162: TNS:net service name is incorrectly specified\n', exitCode: 1 };
  return serverFor(running, sid);
}

function serverFor(running: Running, sid: string): Server {
  const known = running.servers.get(sid);
  if (known !== undefined) return known;
  const { home, hostName } = running.settings;
  const names = { databaseName: sid, uniqueName: sid, instanceName: sid, serviceName: '' };
  return adopt(
    running,
    createInstance({ ...names, hostName, home, storage: { folder: home, create: false } }, []),
  );
}

function adopt(running: Running, instance: Instance): Server {
  const { home, logBytes } = running.settings;
  instance.database!.logBytes = logBytes; // it has storage
  refreshPasswordFile(home, instance);
  instance.endSessions = (id) => {
    for (const [wire, of] of running.wires)
      if (of === instance && (id === undefined || wire.sessionId === id)) wire.end();
  };
  const server: Server = { instance, given: {}, beforeStatement: () => {} };
  running.servers.set(instance.settings.instanceName, server);
  return server;
}

/** SYS may log on over the network by the password file of the instance, else by the one that all of the home share. */
function refreshPasswordFile(home: string, instance: Instance): void {
  const { instanceName } = instance.settings;
  const path = [`orapw${instanceName}`, 'orapw'].map((name) => join(home, 'dbs', name)).find(existsSync);
  const others = instance.users.filter(({ name }) => name !== 'SYS');
  const sys: User[] =
    path === undefined
      ? []
      : [{ name: 'SYS', password: readFileSync(path, 'utf8').trim(), grants: ['SYSDBA', 'CREATE SESSION'] }];
  instance.users = [...sys, ...others];
}
