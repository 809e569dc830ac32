import type { Account, Backend, ConnectData, Identity, Privilege } from '../wire/backend.ts';
import { OraError } from '../wire/values.ts';
import { openSqlSession, type SessionHost } from '../sql/session.ts';
import { accountOf, findUser, holds, type User } from './accounts.ts';
import { createDictionary } from './dictionary.ts';
import type { GivenViews } from './given-views.ts';
import { hostSession } from './host-session.ts';
import type { Instance } from './instance.ts';

/** What sessions of one server share. */
export interface Server {
  instance: Instance;
  given: GivenViews;
  beforeStatement: (sql: string) => void;
}

const messages: Record<number, string> = {
  28000: 'The account is locked.',
  28001: 'the password has expired',
};

/** The instance as the wire sees it. */
export function createBackend(server: Server): Backend {
  const { instance } = server;
  return {
    listen: (connectData) => listen(instance, connectData),
    findAccount(name) {
      const user = findUser(instance, name);
      if (user !== undefined) return accountOf(user);
      // Who is in the database's own files cannot be known before they are open.
      if (instance.database !== null) requireOpen(instance);
      return null;
    },
    identity: () => identityOf(instance),
    logOn(account, privilege) {
      const user = checkLogOn(instance, account, privilege);
      const { id, serial } = nextSession(instance);
      return openSqlSession(id, serial, openHost(server, user, privilege, id, serial));
    },
  };
}

function nextSession({ sessions }: Instance): { id: number; serial: number } {
  const id = Math.max(100, ...sessions.keys()) + 1;
  return { id, serial: id * 7 + 1 };
}

function openHost(
  { instance, given, beforeStatement }: Server,
  user: User,
  privilege: Privilege | null,
  id: number,
  serial: number,
): SessionHost {
  const acting =
    privilege === null
      ? user
      : { ...user, name: privilege === 'SYSBACKUP' ? 'SYSBACKUP' : 'SYS', grants: ['SYSDBA'] };
  return hostSession({
    instance,
    user: acting,
    privilege,
    dictionary: (transaction, schema, asOf) =>
      createDictionary({ instance, given, user: acting, transaction, currentSchema: schema, asOf }),
    beforeStatement,
    id,
    serial,
  });
}

/** A session of the operating system's own (`/ AS SYSDBA`): no listener, no password. */
export function openLocalHost(server: Server): SessionHost {
  const { id, serial } = nextSession(server.instance);
  return openHost(server, { name: 'SYS', password: '', grants: ['SYSDBA'] }, 'SYSDBA', id, serial);
}

/** A session of a user whose password a program on the machine was given; the errors of a logon are thrown. */
export function openUserHost(server: Server, user: User): SessionHost {
  checkLogOn(server.instance, accountOf(user), null);
  const { id, serial } = nextSession(server.instance);
  return openHost(server, user, null, id, serial);
}

/** A service that nobody registered is ORA-12514, an unknown SID ORA-12505. */
function listen(instance: Instance, { serviceName, sid, evenRestricted }: ConnectData): number {
  const { settings, status } = instance;
  const refusal = evenRestricted ? 0 : refusalOf(instance);
  if (serviceName !== null) {
    const known = servicesOf(instance).some((one) => one.toUpperCase() === serviceName.toUpperCase());
    return known && status !== 'DOWN' ? refusal : 12514;
  }
  return sid?.toUpperCase() === settings.instanceName.toUpperCase() ? 0 : 12505;
}

/** An instance that registers itself says what it is like: ORA-12526 and 12528, which UR=A in the connect data asks past. */
function refusalOf({ settings, status, restricted }: Instance): number {
  if (settings.serviceName !== '') return 0;
  if (status === 'STARTED') return 12528;
  return restricted ? 12526 : 0;
}

/** Those that a test gives; without them what the instance registers by its parameters, as on a real machine. */
function servicesOf({ settings, database }: Instance): string[] {
  if (settings.serviceName !== '') return [settings.serviceName, settings.uniqueName];
  const of = (name: string): string | undefined => database?.parameters.get(name);
  const own = of('db_unique_name') ?? of('db_name') ?? settings.uniqueName;
  return [own, ...(of('service_names')?.split(',') ?? [])].map((name) => name.trim());
}

function requireOpen({ status }: Instance): void {
  if (status === 'DOWN') throw new OraError(1034, 'ORACLE not available');
  if (status !== 'OPEN') throw new OraError(1033, 'ORACLE initialization or shutdown in progress');
}

export function checkLogOn(instance: Instance, account: Account, privilege: Privilege | null): User {
  const user = findUser(instance, account.name)!; // whoever asks has found it a moment ago
  if (account.refusal !== null) throw new OraError(account.refusal, messages[account.refusal]!);
  if (privilege !== null) {
    if (user.grants.includes(privilege) || user.grants.includes('SYSDBA')) return user;
    throw new OraError(1017, 'invalid username/password; logon denied');
  }
  if (user.name === 'SYS') throw new OraError(28009, 'connection as SYS should be as SYSDBA or SYSOPER');
  requireOpen(instance);
  if (instance.archiverStuck) {
    throw new OraError(257, 'Archiver error. Connect AS SYSDBA only until resolved.');
  }
  if (!holds(user, 'CREATE SESSION')) {
    throw new OraError(1045, `user ${user.name} lacks CREATE SESSION privilege; logon denied`);
  }
  if (instance.restricted && !holds(user, 'RESTRICTED SESSION')) {
    throw new OraError(1035, 'ORACLE only available to users with RESTRICTED SESSION privilege');
  }
  return user;
}

function identityOf(instance: Instance): Identity {
  const { settings } = instance;
  const [serviceName = ''] = servicesOf(instance);
  return {
    banner: 'x86_64/Linux 2.4.xx',
    version: settings.version,
    databaseName: instance.database?.control?.name ?? settings.databaseName,
    uniqueName: settings.uniqueName,
    domain: '',
    serviceName,
    instanceName: settings.instanceName,
    databaseOffsetMinutes: settings.databaseOffsetMinutes,
  };
}
