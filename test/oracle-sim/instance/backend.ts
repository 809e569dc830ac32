import type { Account, Backend, ConnectData, Identity } from '../wire/backend.ts';
import { OraError } from '../wire/values.ts';
import { openSqlSession } from '../sql/session.ts';
import type { Given } from '../sql/fixtures.ts';
import { accountOf, holds, type User } from './accounts.ts';
import { createDictionary } from './dictionary.ts';
import { hostSession } from './host-session.ts';
import type { Instance } from './instance.ts';

export type GivenViews = Record<string, Iterable<Given> | (() => Iterable<Given>)>;

const messages: Record<number, string> = {
  28000: 'The account is locked.',
  28001: 'the password has expired',
};

/** The instance as the wire sees it. */
export function createBackend(
  instance: Instance,
  given: GivenViews,
  beforeStatement: (sql: string) => void,
): Backend {
  let sessions = 0;
  return {
    listen: (connectData) => listen(instance, connectData),
    findAccount(name) {
      const user = findUser(instance, name);
      return user === undefined ? null : accountOf(user);
    },
    identity: () => identityOf(instance),
    logOn(account, asSysdba) {
      const user = checkLogOn(instance, account, asSysdba);
      const dictionary = createDictionary(
        instance,
        given,
        asSysdba ? { ...user, name: 'SYS', grants: ['SYSDBA'] } : user,
      );
      sessions += 1;
      const host = hostSession({ instance, user, asSysdba, dictionary, beforeStatement, id: sessions + 100 });
      return openSqlSession(sessions + 100, sessions * 7 + 1, host);
    },
  };
}

/** Names without quotes come in any case. */
export function findUser({ users }: Instance, name: string): User | undefined {
  const wanted = name.startsWith('"') ? name.replaceAll('"', '') : name.toUpperCase();
  return users.find((user) => user.name === wanted);
}

/** A service that nobody registered is ORA-12514, an unknown SID ORA-12505. */
function listen({ settings, status }: Instance, { serviceName, sid }: ConnectData): number {
  if (serviceName !== null) {
    const known = [settings.serviceName, settings.uniqueName].some(
      (one) => one.toUpperCase() === serviceName.toUpperCase(),
    );
    return known && status !== 'DOWN' ? 0 : 12514;
  }
  return sid?.toUpperCase() === settings.instanceName.toUpperCase() ? 0 : 12505;
}

function checkLogOn(instance: Instance, account: Account, asSysdba: boolean): User {
  const user = findUser(instance, account.name)!; // the wire found it a moment ago
  if (account.refusal !== null) throw new OraError(account.refusal, messages[account.refusal]!);
  if (asSysdba) {
    if (!account.sysdba) throw new OraError(1017, 'invalid username/password; logon denied');
    return user;
  }
  if (user.name === 'SYS') throw new OraError(28009, 'connection as SYS should be as SYSDBA or SYSOPER');
  if (instance.status === 'DOWN') throw new OraError(1034, 'ORACLE not available');
  if (instance.status !== 'OPEN') throw new OraError(1033, 'ORACLE initialization or shutdown in progress');
  if (!holds(user, 'CREATE SESSION')) {
    throw new OraError(1045, `user ${user.name} lacks CREATE SESSION privilege; logon denied`);
  }
  if (instance.restricted && !holds(user, 'RESTRICTED SESSION')) {
    throw new OraError(1035, 'ORACLE only available to users with RESTRICTED SESSION privilege');
  }
  return user;
}

function identityOf({ settings }: Instance): Identity {
  return {
    banner: 'x86_64/Linux 2.4.xx',
    version: settings.version,
    databaseName: settings.databaseName,
    uniqueName: settings.uniqueName,
    domain: '',
    serviceName: settings.serviceName,
    instanceName: settings.instanceName,
    databaseOffsetMinutes: settings.databaseOffsetMinutes,
  };
}
