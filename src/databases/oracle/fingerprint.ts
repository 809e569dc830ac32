import { createHash } from 'node:crypto';
import type { OracleSession } from './connect.ts';
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
    // GENERATED: indexes and sequences that the server made for itself have another name in each database.
    const rows = await session.query(
      `SELECT OWNER, OBJECT_NAME, DBMS_METADATA.GET_DDL('${metadata}', OBJECT_NAME, OWNER) FROM DBA_OBJECTS
       WHERE OWNER IN (${owners}) AND OBJECT_TYPE = '${type}' AND GENERATED = 'N' AND SECONDARY = 'N' AND TEMPORARY = 'N'
         AND OBJECT_NAME NOT LIKE 'BIN$%' AND OBJECT_NAME NOT LIKE 'SYS\\_%' ESCAPE '\\' ORDER BY OWNER, OBJECT_NAME`,
    );
    for (const [owner, name, ddl] of rows) {
      definitions.push(JSON.stringify([type, owner, name, normaliseDdl(ddl ?? '')]));
    }
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

/**
 * A definition without what differs between a database and its restored copy or a day later: white space outside of texts and
 * quoted names, names that the server invented (SYS_C0012345, SYS_IL…), where a sequence stands now.
 */
export function normaliseDdl(ddl: string): string {
  return splitQuoted(ddl)
    .map(({ text, quoted }) => {
      if (quoted) return text.replace(/^"SYS_(?:C|IL|LOB|NC|IOT_TOP_)[\d_A-Z$]*"$/, '"SYS_"');
      return text
        .replaceAll(/\s+/g, ' ')
        .replaceAll(/\bSTART WITH \d+\b/gi, 'START WITH 1')
        .replaceAll(/\bCONSTRAINT SYS_C\d+\b/gi, 'CONSTRAINT SYS_C');
    })
    .join('')
    .trim();
}

/** Texts in single quotes, names in double quotes, comments of a line: kept as they are. */
function splitQuoted(text: string): { text: string; quoted: boolean }[] {
  const parts: { text: string; quoted: boolean }[] = [];
  const pattern = /'(?:[^']|'')*'|"[^"]*"|--[^\n]*/g;
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    parts.push({ text: text.slice(at, match.index), quoted: false }, { text: match[0], quoted: true });
    at = match.index + match[0].length;
  }
  parts.push({ text: text.slice(at), quoted: false });
  return parts;
}
