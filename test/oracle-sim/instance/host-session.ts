import { OraError } from '../wire/values.ts';
import type { Privilege } from '../wire/backend.ts';
import type { EvaluationContext } from '../sql/zones.ts';
import type { Dictionary } from '../sql/scope.ts';
import type { SessionHost } from '../sql/session.ts';
import type { User } from './accounts.ts';
import { prepareCommand } from './commands.ts';
import { definitionOf } from './definitions.ts';
import type { Instance, SessionInfo } from './instance.ts';
import { beginTransaction, endTransaction } from './physical/change.ts';
import { preparePlsql } from './plsql.ts';
import { containerId, rootName } from './pluggable.ts';
import type { Session } from './session.ts';
import { waitWhileQuiesced } from './quiesce.ts';
import { databaseOf } from './startup.ts';
import { opened } from './physical/database.ts';

interface Opened {
  instance: Instance;
  user: User;
  privilege: Privilege | null;
  dictionary: (transaction: number, schema: string, asOf: () => bigint | null) => Dictionary;
  beforeStatement: (sql: string) => void;
  id: number;
  serial: number;
}

/** One session of the instance. */
export function hostSession({
  instance,
  user,
  privilege,
  dictionary,
  beforeStatement,
  id,
  serial,
}: Opened): SessionHost {
  const info: SessionInfo = {
    id,
    serial,
    user: user.name,
    since: instance.settings.now(),
    transaction: null,
  };
  instance.sessions.set(id, info);
  let readOnly = false;
  let asOf: bigint | null = null;
  const end = (commits: boolean): void => {
    const { transaction } = info;
    info.transaction = null;
    readOnly = false;
    const { database } = instance;
    if (transaction === null || database === null || database.open === null) return;

    endTransaction(database, transaction, commits);
  };
  let schema = user.name;
  let container = rootName;
  const session: Session = {
    instance,
    user,
    context: contextOf(instance, user, privilege, id, () => container),
    dictionary: () => dictionary(info.transaction ?? 0, schema, () => asOf),
    setAsOf: (scn) => {
      asOf = scn;
    },
    transaction() {
      const database = databaseOf(instance);
      opened(database);
      if (asOf !== null) throw new OraError(8182, 'operation not supported while in Flashback mode');
      if (readOnly)
        throw new OraError(
          1456,
          'may not perform insert, delete, update operation inside a READ ONLY transaction',
        );
      info.transaction ??= beginTransaction(database);
      return info.transaction;
    },
    schema: () => schema,
    container: () => container,
    setContainer: (name) => {
      container = name;
    },
    setSchema: (name) => {
      schema = name;
    },
    commit: () => end(true),
    rollback: () => end(false),
    setReadOnly: () => {
      if (info.transaction !== null)
        throw new OraError(1453, 'SET TRANSACTION must be first statement of transaction');
      readOnly = true;
    },
  };
  return {
    get dictionary() {
      return session.dictionary();
    },
    context: session.context,
    beforeStatement(sql) {
      // A restart ends every session: what still talks to it is told so.
      if (!instance.sessions.has(id)) throw new OraError(1012, 'not logged on');
      beforeStatement(sql);
    },
    prepareCommand(sql) {
      const command = prepareCommand(sql, session);
      return {
        ...command,
        async run(...given) {
          await waitWhileQuiesced(instance, user.name, info.transaction !== null);
          return command.run(...given);
        },
      };
    },
    preparePlsql: (sql) => preparePlsql(sql, session),
    get inTransaction() {
      return readOnly || info.transaction !== null;
    },
    commit: () => end(true),
    rollback: () => end(false),
    close() {
      end(false);
      instance.sessions.delete(id);
    },
  };
}

function contextOf(
  instance: Instance,
  user: User,
  privilege: Privilege | null,
  id: number,
  container: () => string,
): EvaluationContext {
  const { settings } = instance;
  const environment: Record<string, string> = {
    SESSION_USER: user.name,
    CURRENT_USER: user.name,
    CURRENT_SCHEMA: user.name,
    DB_NAME: settings.databaseName,
    DB_UNIQUE_NAME: settings.uniqueName,
    INSTANCE_NAME: settings.instanceName,
    SERVER_HOST: settings.hostName,
    SERVICE_NAME: settings.serviceName,
    ISDBA: privilege === 'SYSDBA' ? 'TRUE' : 'FALSE',
    SID: String(id),
    CDB_NAME: settings.cdb ? settings.databaseName : '',
    DATABASE_ROLE: 'PRIMARY',
  };
  return {
    user: user.name,
    now: () => ({
      milliseconds: settings.now() + settings.hostOffsetMinutes * 60_000,
      offsetMinutes: settings.hostOffsetMinutes,
    }),
    databaseOffsetMinutes: settings.databaseOffsetMinutes,
    sessionOffsetMinutes: 0,
    definition: (type, name, owner) => definitionOf(instance, type, name, owner),
    userEnvironment(name) {
      const id = containerId(instance, container());
      if (name === 'CON_ID') return String(id);
      if (name === 'CON_NAME') return id === 0 ? settings.databaseName : container();
      if (!Object.hasOwn(environment, name)) throw new OraError(2003, 'invalid USERENV parameter');
      return environment[name] || null;
    },
  };
}
