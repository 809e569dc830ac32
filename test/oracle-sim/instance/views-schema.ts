import type { Given } from '../sql/fixtures.ts';
import type { User } from './accounts.ts';
import type { Instance } from './instance.ts';
import { codeObjectRows, codeViews } from './code-objects.ts';
import { constraintRows } from './constraints.ts';
import { pumpOf } from '../pump/state.ts';
import { listTables } from './tables.ts';
import type { Rows } from './view-rows.ts';
import { hostTime } from './instance.ts';

const statuses = { OPEN: 'OPEN', EXPIRED: 'EXPIRED', LOCKED: 'LOCKED' } as const;
/** What the role DBA brings, as far as anybody asks. */
const dbaPrivileges = [
  'CREATE SESSION',
  'ALTER SYSTEM',
  'ALTER DATABASE',
  'ALTER TABLESPACE',
  'MANAGE TABLESPACE',
  'SELECT ANY DICTIONARY',
  'SELECT ANY TABLE',
  'CREATE USER',
  'ALTER USER',
  'DROP USER',
  'CREATE ANY TABLE',
  'CREATE ANY DIRECTORY',
  'FLASHBACK ANY TABLE',
  'RESTRICTED SESSION',
  'UNLIMITED TABLESPACE',
  'GRANT ANY PRIVILEGE',
  'GRANT ANY ROLE',
] as const;

/** SESSION_PRIVS and SESSION_ROLES: of whoever asks. */
export function sessionRows(key: string, { grants }: User): Given[] | null {
  if (key === 'SESSION_ROLES')
    return grants.filter((grant) => roles.test(grant)).map((role) => ({ ROLE: role }));
  if (key !== 'SESSION_PRIVS') return null;
  const direct = grants.filter((grant) => !roles.test(grant) && !grant.includes(' ON '));
  const wide = grants.some((grant) => grant === 'DBA' || grant === 'SYSDBA') ? dbaPrivileges : [];
  return [...new Set([...direct, ...wide])].sort().map((privilege) => ({ PRIVILEGE: privilege }));
}

/** Names of roles, so that a grant of one is told from a system privilege. */
const roles =
  /^(?:DBA|CONNECT|RESOURCE|SELECT_CATALOG_ROLE|DATAPUMP_\w+|IMP_FULL_DATABASE|EXP_FULL_DATABASE|\w+_ROLE)$/;

function userRow(
  instance: Instance,
  { name, status = 'OPEN' }: Instance['users'][number],
  index: number,
): Given {
  return {
    USERNAME: name,
    USER_ID: index + 100,
    ACCOUNT_STATUS: statuses[status],
    DEFAULT_TABLESPACE: 'USERS',
    TEMPORARY_TABLESPACE: 'TEMP',
    CREATED: hostTime(instance, instance.startedAt),
    PROFILE: 'DEFAULT',
    AUTHENTICATION_TYPE: 'PASSWORD',
    ORACLE_MAINTAINED: name === 'SYS' ? 'Y' : 'N',
  };
}

function tables(instance: Instance): ReturnType<typeof listTables> {
  const { database } = instance;
  return database === null || database.open === null ? [] : listTables(database);
}

function resumableRows(instance: Instance): Given[] {
  const { faults, jobs } = pumpOf(instance);
  if (faults.waitsForRoom === undefined) return [];
  return Array.from(jobs.values(), ({ owner, name }) => ({
    NAME: `${owner}.${name}.1`,
    STATUS: 'SUSPENDED',
    ERROR_MSG: faults.waitsForRoom ?? null,
  }));
}

/** Users, their rights, and the objects of their schemas. */
export const schemaViews: Record<string, Rows> = {
  DBA_USERS: (instance) => instance.users.map((user, index) => userRow(instance, user, index)),
  DBA_SYS_PRIVS: ({ users }) =>
    users.flatMap(({ name, grants }) =>
      grants
        .filter((grant) => !roles.test(grant) && !grant.includes(' ON '))
        .map((grant) => ({ GRANTEE: name, PRIVILEGE: grant, ADMIN_OPTION: 'NO' })),
    ),
  DBA_ROLE_PRIVS: ({ users }) =>
    users.flatMap(({ name, grants }) =>
      grants
        .filter((grant) => roles.test(grant))
        .map((grant) => ({ GRANTEE: name, GRANTED_ROLE: grant, ADMIN_OPTION: 'NO', DEFAULT_ROLE: 'YES' })),
    ),
  DBA_TAB_PRIVS: ({ users }) =>
    users.flatMap(({ name, grants }) =>
      grants.flatMap((grant) => {
        const [, privilege, owner, table] = /^(.+) ON ([^.]+)\.(.+)$/.exec(grant) ?? [];
        if (owner === undefined) return [];
        const row = { GRANTEE: name, OWNER: owner, TABLE_NAME: table!, PRIVILEGE: privilege! };
        return [{ ...row, GRANTOR: owner, GRANTABLE: 'NO', HIERARCHY: 'NO', TYPE: 'TABLE' }];
      }),
    ),
  DBA_TS_QUOTAS: ({ users }) =>
    users.flatMap(({ name, quotas = {} }) =>
      Object.entries(quotas).map(([tablespace, bytes]) => ({
        TABLESPACE_NAME: tablespace,
        USERNAME: name,
        MAX_BYTES: bytes,
        BYTES: 0,
      })),
    ),
  DBA_TABLES: (instance) =>
    tables(instance).map(({ owner, name, table }) => ({
      OWNER: owner,
      TABLE_NAME: name,
      TABLESPACE_NAME: 'USERS',
      STATUS: 'VALID',
      NUM_ROWS: table.rows.length,
      TEMPORARY: 'N',
      NESTED: 'NO',
      SECONDARY: 'N',
      DROPPED: 'NO',
    })),
  DBA_OBJECTS: (instance) =>
    tables(instance)
      .map(({ owner, name }, index) => ({
        OWNER: owner,
        OBJECT_NAME: name,
        OBJECT_ID: 70_000 + index,
        OBJECT_TYPE: 'TABLE',
        STATUS: 'VALID',
        TEMPORARY: 'N',
        GENERATED: 'N',
        ORACLE_MAINTAINED: 'N',
      }))
      .concat(codeObjectRows(instance) as never[])
      .map((row) => ({ SECONDARY: 'N', ...row })),
  ...codeViews,
  DBA_CONSTRAINTS: constraintRows,
  DBA_DIRECTORIES: (instance) =>
    Array.from(pumpOf(instance).directories, ([name, path]) => ({
      OWNER: 'SYS',
      DIRECTORY_NAME: name,
      DIRECTORY_PATH: path,
    })),
  DBA_RESUMABLE: resumableRows,
  USER_RESUMABLE: resumableRows,
  DBA_DATAPUMP_JOBS: (instance) =>
    Array.from(pumpOf(instance).jobs.values(), ({ owner, name, operation, state, degree }) => ({
      OWNER_NAME: owner,
      JOB_NAME: name,
      OPERATION: operation,
      JOB_MODE: 'SCHEMA',
      STATE: state,
      DEGREE: degree,
    })),
  DBA_TAB_COLUMNS: (instance) =>
    tables(instance).flatMap(({ owner, name, table }) =>
      table.columns.map((column, index) => ({
        OWNER: owner,
        TABLE_NAME: name,
        COLUMN_NAME: column.name,
        DATA_TYPE: column.type.replace(/\(.*/, ''),
        COLUMN_ID: index + 1,
        NULLABLE: 'Y',
      })),
    ),
};
