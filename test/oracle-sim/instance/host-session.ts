import { OraError } from '../wire/values.ts';
import type { Dictionary } from '../sql/scope.ts';
import type { Command, SessionHost } from '../sql/session.ts';
import type { User } from './accounts.ts';
import type { Instance } from './instance.ts';

interface Opened {
  instance: Instance;
  user: User;
  asSysdba: boolean;
  dictionary: Dictionary;
  beforeStatement: (sql: string) => void;
  id: number;
}

/** One session of the instance. */
export function hostSession({
  instance,
  user,
  asSysdba,
  dictionary,
  beforeStatement,
  id,
}: Opened): SessionHost {
  const { settings } = instance;
  const currentUser = asSysdba ? 'SYS' : user.name;
  const environment: Record<string, string> = {
    SESSION_USER: currentUser,
    CURRENT_USER: currentUser,
    CURRENT_SCHEMA: currentUser,
    DB_NAME: settings.databaseName,
    DB_UNIQUE_NAME: settings.uniqueName,
    INSTANCE_NAME: settings.instanceName,
    SERVER_HOST: settings.hostName,
    SERVICE_NAME: settings.serviceName,
    CON_NAME: settings.databaseName,
    CON_ID: '0',
    ISDBA: asSysdba ? 'TRUE' : 'FALSE',
    SID: String(id),
    CDB_NAME: '',
    DATABASE_ROLE: 'PRIMARY',
  };
  const unknown = (sql: string): Command => {
    throw new OraError(900, 'invalid SQL statement', sql.search(/\S/));
  };
  return {
    dictionary,
    context: {
      user: currentUser,
      now: () => ({
        milliseconds: settings.now() + settings.hostOffsetMinutes * 60_000,
        offsetMinutes: settings.hostOffsetMinutes,
      }),
      databaseOffsetMinutes: settings.databaseOffsetMinutes,
      sessionOffsetMinutes: 0,
      userEnvironment(name) {
        if (!Object.hasOwn(environment, name)) throw new OraError(2003, 'invalid USERENV parameter');
        return environment[name] || null;
      },
    },
    beforeStatement,
    prepareCommand: unknown,
    preparePlsql: unknown,
    inTransaction: false,
    commit: () => {},
    rollback: () => {},
    close: () => {},
  };
}
