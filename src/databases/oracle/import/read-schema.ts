import type { OracleSession } from '../connect.ts';
import { quoteName } from '../rman-text.ts';
import { readCount } from '../values.ts';
import { jobMark, markTable } from './clone-schema.ts';
import type { ConstraintFact, InvalidObject, RightFact, SchemaFacts } from './compare.ts';

/** Tables that hold rows of their own: no nested or external ones, no overflow, none in the recycle bin, not our mark. */
const tablesOf = `SELECT t.TABLE_NAME FROM DBA_TABLES t
 WHERE t.OWNER = :owner AND t.NESTED = 'NO' AND t.SECONDARY = 'N' AND t.TEMPORARY = 'N' AND t.DROPPED = 'NO'
   AND (t.IOT_TYPE IS NULL OR t.IOT_TYPE = 'IOT') AND t.TABLE_NAME <> '${markTable}'
   AND NOT EXISTS (SELECT 1 FROM DBA_EXTERNAL_TABLES e WHERE e.OWNER = t.OWNER AND e.TABLE_NAME = t.TABLE_NAME)
 ORDER BY t.TABLE_NAME`;

const constraintsOf = `SELECT TABLE_NAME, CONSTRAINT_NAME, CONSTRAINT_TYPE, STATUS, VALIDATED, GENERATED, R_OWNER FROM DBA_CONSTRAINTS
 WHERE OWNER = :owner AND CONSTRAINT_TYPE IN ('P', 'U', 'R', 'C') AND TABLE_NAME NOT LIKE 'BIN$%'
 ORDER BY TABLE_NAME, CONSTRAINT_NAME`;

const invalidOf = `SELECT OBJECT_NAME, OBJECT_TYPE FROM DBA_OBJECTS
 WHERE OWNER = :owner AND STATUS = 'INVALID' ORDER BY OBJECT_TYPE, OBJECT_NAME`;

export async function readConstraints(session: OracleSession, owner: string): Promise<ConstraintFact[]> {
  const rows = await session.query(constraintsOf, { owner }, 'reading DBA_CONSTRAINTS');
  return rows.map(([table, name, type, status, validated, generated, referenced]) => ({
    table: table ?? '',
    name: name ?? '',
    type: type ?? '',
    enabled: status === 'ENABLED',
    validated: validated === 'VALIDATED',
    generated: generated === 'GENERATED NAME',
    referencedSchema: referenced ?? null,
  }));
}

export async function readInvalid(session: OracleSession, owner: string): Promise<InvalidObject[]> {
  const rows = await session.query(invalidOf, { owner }, 'reading DBA_OBJECTS');
  return rows.map(([name, type]) => ({ name: name ?? '', type: type ?? '' }));
}

/** Counts every table: NUM_ROWS is an estimate of the last statistics. */
export async function countRows(
  session: OracleSession,
  owner: string,
  onTable: (table: string, rows: string) => void,
): Promise<SchemaFacts['rows']> {
  const counts: Record<string, string> = {};
  const tables = await session.query(tablesOf, { owner }, 'reading DBA_TABLES');
  for (const [table] of tables) {
    if (table === null || table === undefined) continue;
    const from = `${quoteName(owner, 'a schema')}.${quoteName(table, 'a table')}`;
    const [row] = await session.query(`SELECT COUNT(*) FROM ${from}`, {}, `counting ${from}`);
    counts[table] = row?.[0] ?? '0';
    onTable(table, counts[table]);
  }
  return counts;
}

export interface FoundUser {
  exists: boolean;
  markedFor: string | null;
  /** The job that was importing into it when the mark was written last; null: none. */
  job: string | null;
}

/** Whether a user is there, and whose copy it says it is. */
export async function findUser(session: OracleSession, name: string): Promise<FoundUser> {
  const [user] = await session.query(
    'SELECT COUNT(*) FROM DBA_USERS WHERE USERNAME = :name',
    { name },
    'reading DBA_USERS',
  );
  if (readCount(user?.[0] ?? null) === 0) return { exists: false, markedFor: null, job: null };
  const [marked] = await session.query(
    'SELECT COUNT(*) FROM DBA_TABLES WHERE OWNER = :name AND TABLE_NAME = :mark',
    { name, mark: markTable },
    'reading DBA_TABLES',
  );
  if (readCount(marked?.[0] ?? null) === 0) return { exists: true, markedFor: null, job: null };
  const from = `${quoteName(name, 'a schema')}."${markTable}"`;
  const [row] = await session.query(`SELECT LIVE_SCHEMA, STATE, WHY FROM ${from}`, {}, `reading ${from}`);
  const [live = null, state, why] = row ?? [];
  const job = state === 'importing' && why?.startsWith(jobMark) === true ? why.slice(jobMark.length) : '';
  return { exists: true, markedFor: live, job: job === '' ? null : job };
}

export interface ServerFacts {
  version: string;
  majorVersion: number;
  compatible: string | null;
  characterSet: string | null;
}

/** VERSION_FULL and DBA_TABLES.EXTERNAL are younger than the oldest server we speak with, 12.1. */
export async function readServer(session: OracleSession): Promise<ServerFacts> {
  const [instance] = await session.query('SELECT VERSION FROM V$INSTANCE', {}, 'reading V$INSTANCE');
  const [compatible] = await session.query(
    `SELECT VALUE FROM V$PARAMETER WHERE NAME = 'compatible'`,
    {},
    'reading V$PARAMETER',
  );
  const [characterSet] = await session.query(
    `SELECT VALUE FROM NLS_DATABASE_PARAMETERS WHERE PARAMETER = 'NLS_CHARACTERSET'`,
    {},
    'reading NLS_DATABASE_PARAMETERS',
  );
  const version = instance?.[0] ?? session.driver.oracleServerVersionString;
  return {
    version,
    majorVersion: Number(version.split('.')[0]),
    compatible: compatible?.[0] ?? null,
    characterSet: characterSet?.[0] ?? null,
  };
}

/** What the copy's user may, and what everybody may with LIVE's schema. */
export async function readRights(session: OracleSession, clone: string, live: string): Promise<RightFact[]> {
  const direct = await session.query(
    `SELECT GRANTEE, PRIVILEGE, OWNER, TABLE_NAME FROM DBA_TAB_PRIVS
 WHERE GRANTEE = :clone OR (GRANTEE = 'PUBLIC' AND OWNER = :live) ORDER BY GRANTEE, OWNER, TABLE_NAME, PRIVILEGE`,
    { clone, live },
    'reading DBA_TAB_PRIVS',
  );
  const wide = [
    ['DBA_SYS_PRIVS', 'PRIVILEGE'],
    ['DBA_ROLE_PRIVS', 'GRANTED_ROLE'],
  ] as const;
  const facts = direct.map(([grantee, privilege, on, object]): RightFact => ({
    grantee: grantee ?? '',
    privilege: privilege ?? '',
    on: on ?? null,
    object: object ?? null,
  }));
  for (const [view, column] of wide) {
    const rows = await session.query(
      `SELECT ${column} FROM ${view} WHERE GRANTEE = :clone ORDER BY ${column}`,
      { clone },
      `reading ${view}`,
    );
    for (const [privilege] of rows)
      facts.push({ grantee: clone, privilege: privilege ?? '', on: null, object: null });
  }
  return facts;
}
