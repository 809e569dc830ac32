import { createHash } from 'node:crypto';
import type { OracleSession } from './connect.ts';
import { normaliseDdl, serverName } from './normalise-ddl.ts';
import { quoteSqlText } from './rman-text.ts';

export interface OracleFingerprint {
  /** SHA-256 over every definition, in order. The same for a restored copy; another for any change of the schemas. */
  hash: string;
  definitions: number;
  /** Invalid objects, by name: compared before and after a kit. */
  invalid: string[];
}

/** Object types whose definition DBMS_METADATA gives by itself; what depends on a table comes with it. */
const types: Readonly<Record<string, string>> = {
  TABLE: 'TABLE',
  INDEX: 'INDEX',
  VIEW: 'VIEW',
  SEQUENCE: 'SEQUENCE',
  TRIGGER: 'TRIGGER',
  PROCEDURE: 'PROCEDURE',
  FUNCTION: 'FUNCTION',
  PACKAGE: 'PACKAGE_SPEC',
  'PACKAGE BODY': 'PACKAGE_BODY',
  TYPE: 'TYPE_SPEC',
  'TYPE BODY': 'TYPE_BODY',
  SYNONYM: 'SYNONYM',
  'MATERIALIZED VIEW': 'MATERIALIZED_VIEW',
};

/** Storage, segments and tablespaces may differ between production and its copy; the definition may not. */
const transforms = ['STORAGE', 'SEGMENT_ATTRIBUTES', 'TABLESPACE', 'SQLTERMINATOR', 'PRETTY']
  .map((name) => `DBMS_METADATA.SET_TRANSFORM_PARAM(DBMS_METADATA.SESSION_TRANSFORM, '${name}', FALSE);`)
  .join(' ');

/** What others may do with the application's objects, and what its own users may: a kit changes that as well. */
function grantsOf(owners: string): string[] {
  return [
    `SELECT OWNER, TABLE_NAME, PRIVILEGE, GRANTEE, GRANTABLE FROM DBA_TAB_PRIVS WHERE OWNER IN (${owners}) AND TABLE_NAME NOT LIKE 'BIN$%'`,
    `SELECT GRANTEE, PRIVILEGE, ADMIN_OPTION FROM DBA_SYS_PRIVS WHERE GRANTEE IN (${owners})`,
    `SELECT GRANTEE, GRANTED_ROLE, ADMIN_OPTION FROM DBA_ROLE_PRIVS WHERE GRANTEE IN (${owners})`,
  ];
}

/**
 * What a release must find unchanged on LIVE (R18) and a rollback must bring back (R20), of the schemas that hold the
 * application. Needs SELECT_CATALOG_ROLE, without which DBMS_METADATA shows the user's own objects only.
 */
export async function takeOracleFingerprint(
  session: OracleSession,
  schemas: readonly string[],
): Promise<OracleFingerprint> {
  await session.execute(`BEGIN ${transforms} END;`);
  const owners = schemas.map((name) => quoteSqlText(name, 'a schema')).join(', ');
  const definitions: string[] = [];
  for (const [type, metadata] of Object.entries(types)) {
    // GENERATED: what the server made for itself has another name in each database. So have ISEQ$$_7 and its like.
    const rows = await session.query(
      `SELECT OWNER, OBJECT_NAME, DBMS_METADATA.GET_DDL('${metadata}', OBJECT_NAME, OWNER) FROM DBA_OBJECTS
       WHERE OWNER IN (${owners}) AND OBJECT_TYPE = '${type}' AND GENERATED = 'N' AND SECONDARY = 'N' AND TEMPORARY = 'N'
         AND OBJECT_NAME NOT LIKE 'BIN$%' ORDER BY OWNER, OBJECT_NAME`,
    );
    for (const [owner, name, ddl] of rows) {
      if (serverName.test(name ?? '')) continue;
      definitions.push(JSON.stringify([type, owner, name, normaliseDdl(type, ddl ?? '')]));
    }
  }
  for (const sql of grantsOf(owners)) {
    for (const row of await session.query(sql)) definitions.push(JSON.stringify(['GRANT', ...row]));
  }
  const invalid = await session.query(
    `SELECT OWNER, OBJECT_TYPE, OBJECT_NAME FROM DBA_OBJECTS WHERE OWNER IN (${owners}) AND STATUS <> 'VALID'
     ORDER BY OWNER, OBJECT_TYPE, OBJECT_NAME`,
  );
  const hash = createHash('sha256');
  for (const one of definitions.sort()) hash.update(`${one}\n`);
  return {
    hash: hash.digest('hex'),
    definitions: definitions.length,
    invalid: invalid.map(([owner, type, name]) => `${type ?? ''} ${owner ?? ''}.${name ?? ''}`),
  };
}
