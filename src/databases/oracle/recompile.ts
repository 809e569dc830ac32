import { toClonaError } from '../../errors.ts';
import type { OracleSession } from './connect.ts';

/** One object that the server cannot use: `PACKAGE BODY ERP.PAY`. */
export type InvalidName = string;

const invalidObjects = `SELECT OWNER, OBJECT_TYPE, OBJECT_NAME FROM DBA_OBJECTS
 WHERE STATUS = 'INVALID' ORDER BY OWNER, OBJECT_TYPE, OBJECT_NAME`;

/** Invalid objects of every schema: a kit may break what belongs to others. */
export async function readInvalidObjects(session: OracleSession): Promise<InvalidName[]> {
  const rows = await session.query(invalidObjects, {}, 'reading DBA_OBJECTS');
  return rows.map(([owner, type, name]) => `${type ?? ''} ${owner ?? ''}.${name ?? ''}`);
}

/**
 * Compiles what a kit left invalid. UTL_RECOMP is SYSDBA's (PL/SQL Packages and Types Reference, UTL_RECOMP); whoever else may not run it
 * has DBMS_UTILITY.COMPILE_SCHEMA, schema by schema.
 */
export async function recompileInvalid(
  session: OracleSession,
  invalid: readonly InvalidName[],
): Promise<void> {
  for (const owner of ownersOf(invalid)) {
    try {
      await session.execute('BEGIN SYS.UTL_RECOMP.RECOMP_SERIAL(schema => :owner); END;', { owner });
    } catch (error) {
      // PLS-00201 (may not be seen), ORA-01031 and ORA-04063 (may not be run).
      const said = toClonaError(error).message;
      if (!/ORA-06550|PLS-00201|ORA-01031|ORA-04063/.test(said)) throw error;
      await session.execute(
        'BEGIN DBMS_UTILITY.COMPILE_SCHEMA(schema => :owner, compile_all => FALSE); END;',
        {
          owner,
        },
      );
    }
  }
}

function ownersOf(invalid: readonly InvalidName[]): string[] {
  const owners = invalid.map((one) => one.slice(0, one.lastIndexOf('.')).split(' ').at(-1) ?? '');
  return [...new Set(owners)].filter((owner) => owner !== '' && owner !== 'SYS' && owner !== 'SYSTEM');
}

/** What was valid and is not any more. Pure. */
export function findNewlyInvalid(
  before: readonly InvalidName[],
  after: readonly InvalidName[],
): InvalidName[] {
  const known = new Set(before);
  return after.filter((one) => !known.has(one));
}
