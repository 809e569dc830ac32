import { OraError } from '../wire/values.ts';
import { listCode } from './code-objects.ts';
import type { Instance } from './instance.ts';
import { databaseOf } from './startup.ts';
import { listTables } from './tables.ts';

/** Names of DBMS_METADATA where they differ from DBA_OBJECTS'. */
const objectTypes: Readonly<Record<string, string>> = {
  PACKAGE_SPEC: 'PACKAGE',
  PACKAGE_BODY: 'PACKAGE BODY',
  TYPE_SPEC: 'TYPE',
  TYPE_BODY: 'TYPE BODY',
  MATERIALIZED_VIEW: 'MATERIALIZED VIEW',
};

/** DBMS_METADATA.GET_DDL: a table from its columns and constraints, code and views from their text. */
export function definitionOf(instance: Instance, type: string, name: string, owner: string): string {
  const database = databaseOf(instance);
  const missing = new OraError(
    31603,
    `object "${name}" of type ${type} not found in schema "${owner}"\nORA-06512: at "SYS.DBMS_METADATA"`,
  );
  if (type === 'TABLE') {
    const found = listTables(database).find((one) => one.owner === owner && one.name === name);
    if (found === undefined) throw missing;
    const columns = found.table.columns.map((column) => `"${column.name}" ${column.type}`);
    const constraints = (found.table.constraints ?? []).map(
      (one) => `CONSTRAINT "${one.name}" ${JSON.stringify(one)}`,
    );
    return `\n  CREATE TABLE "${owner}"."${name}" \n   (\t${[...columns, ...constraints].join(', \n\t')}\n   ) `;
  }
  const wanted = objectTypes[type] ?? type;
  const code = listCode(database).find(
    (one) => one.owner === owner && one.name === name && one.type === wanted,
  );
  if (code === undefined) throw missing;
  return `\n  CREATE OR REPLACE ${wanted} "${owner}"."${name}" ${code.text}`;
}
