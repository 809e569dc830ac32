import { ClonaError } from '../../../errors.ts';
import { quoteName, quoteSqlText } from '../rman-text.ts';

/** Which schema of LIVE becomes which one of the proof. Names as the dictionary writes them. */
export interface SchemaPair {
  live: string;
  clone: string;
}

/** Before 12.2, and with COMPATIBLE below it, a name has 30 bytes. */
export type NameLimit = 30 | 128;

/** Schemas that belong to the server: nobody imports them, and no clone may take their place. */
const serverSchemas =
  /^(?:SYS|SYSTEM|SYSAUX|OUTLN|XDB|ANONYMOUS|DBSNMP|SYSMAN|CTXSYS|MDSYS|ORDSYS|ORDDATA|WMSYS|LBACSYS|DVSYS|DVF|OLAPSYS|EXFSYS|GSM\w*|SYS(?:BACKUP|DG|KM|RAC|\$UMF)|AUDSYS|OJVMSYS|APPQOSSYS|DIP|PUBLIC|REMOTE_SCHEDULER_AGENT|APEX_\d+|FLOWS_\w+)$/;

/**
 * A name as people write it in a site file: erp and ERP are ERP; "Erp", with the quotes, is Erp. What no name without quotes can be
 * (a space, a sign, a digit in front) needs the quotes.
 */
export function readSchemaName(text: string): string {
  const quoted = /^"([^"\p{Cc}]{1,128})"$/u.exec(text)?.[1];
  if (quoted !== undefined) return quoted;
  if (/^\p{L}[\p{L}\p{N}_$#]{0,127}$/u.test(text)) return text.toUpperCase();
  throw new ClonaError(
    'usage',
    `${JSON.stringify(text)} is no name of a schema, a tablespace or a directory`,
    {
      hint: 'a name that holds other signs than letters, digits, _, $ and # is written in double quotes inside of the single ones: \'"My ERP"\'',
    },
  );
}

/** CLONA_ERP of ERP, with prefix X: X_ERP. A name in mixed case keeps it: CLONA_Erp. */
export function pairSchemas(
  schemas: readonly string[],
  prefix: string,
  limit: NameLimit = 128,
): SchemaPair[] {
  const front = readSchemaName(prefix);
  if (schemas.length === 0) throw new ClonaError('usage', 'no schema is named that is to be imported');
  const pairs = [...new Set(schemas)].map((live) => ({ live, clone: `${front}_${live}` }));
  for (const { live, clone } of pairs) {
    if (serverSchemas.test(live)) {
      throw new ClonaError('usage', `${live} belongs to the server and cannot be imported`);
    }
    if (new TextEncoder().encode(clone).length > limit) {
      throw new ClonaError(
        'usage',
        `the name ${clone} is longer than the ${limit} bytes this server allows`,
        {
          hint: 'choose the prefix X',
        },
      );
    }
    if (schemas.includes(clone)) {
      throw new ClonaError('usage', `${clone} is itself one of the schemas that are to be imported`, {
        hint: 'choose another prefix: the copy never takes the place of a schema of LIVE',
      });
    }
  }
  return pairs;
}

export interface CloneUserOptions {
  pair: SchemaPair;
  /** Where its tables go, and what else REMAP_TABLESPACE names. */
  tablespaces: readonly string[];
  defaultTablespace: string;
  temporaryTablespace?: string | undefined;
}

/** Left in every schema that clona makes: only what carries it is ever dropped. */
export const markTable = 'CLONA$IMPORT';

/**
 * The user of the copy: nobody can log on as it (no password, so none can leak), it may do nothing but own, and it has no
 * right on LIVE's schema (R21). NO AUTHENTICATION needs 18c; before, the account is locked with a password nobody knows.
 */
export function createCloneUser(
  options: CloneUserOptions,
  majorVersion: number,
  random: string,
  jobName = '',
): string[] {
  const { pair, tablespaces, defaultTablespace, temporaryTablespace } = options;
  const user = quoteName(pair.clone, 'the name of the CLONA schema');
  const inTablespace = `DEFAULT TABLESPACE ${quoteName(defaultTablespace, 'the default tablespace')}`;
  const temporary =
    temporaryTablespace === undefined
      ? ''
      : ` TEMPORARY TABLESPACE ${quoteName(temporaryTablespace, 'the temporary tablespace')}`;
  const without =
    majorVersion >= 18 ? 'NO AUTHENTICATION' : `IDENTIFIED BY ${quoteName(random, 'a password')}`;
  const quotas = [...new Set([defaultTablespace, ...tablespaces])].map(
    (name) => `QUOTA UNLIMITED ON ${quoteName(name, 'a tablespace')}`,
  );
  return [
    `CREATE USER ${user} ${without} ${inTablespace}${temporary} ${quotas.join(' ')} ACCOUNT LOCK`,
    `CREATE TABLE ${user}."${markTable}" (LIVE_SCHEMA VARCHAR2(128), STATE VARCHAR2(20), WHY VARCHAR2(1000))`,
    `INSERT INTO ${user}."${markTable}" (LIVE_SCHEMA, STATE, WHY) VALUES (${quoteSqlText(pair.live, "LIVE's schema")}, 'importing', ${quoteSqlText(`${jobMark}${jobName}`, 'the job')})`,
  ];
}

/** While the import runs the mark says by which job: a run that was killed has left it in the server. */
export const jobMark = 'job ';

/** `usable` or `unusable` and why; people and the next run find it in the schema itself. */
export function markClone(pair: SchemaPair, state: 'usable' | 'unusable', why: string): string {
  const user = quoteName(pair.clone, 'the name of the CLONA schema');
  const text = quoteSqlText(why.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 300) || '-', 'the reason');
  return `UPDATE ${user}."${markTable}" SET STATE = '${state}', WHY = ${text}`;
}

export function dropCloneUser({ clone }: SchemaPair): string {
  return `DROP USER ${quoteName(clone, 'the name of the CLONA schema')} CASCADE`;
}

export type CloneUserDecision = { do: 'create' } | { do: 'replace' } | { do: 'refuse'; why: string };

/** What is done with a user that is there already. Pure: only a schema that clona made for this very LIVE schema goes. */
export function decideCloneUser(
  { live, clone }: SchemaPair,
  found: { exists: boolean; markedFor: string | null },
): CloneUserDecision {
  if (!found.exists) return { do: 'create' };
  if (found.markedFor === live) return { do: 'replace' };
  const why =
    found.markedFor === null
      ? `${clone} is there and was not made by clona (it holds no table ${markTable})`
      : `${clone} is there and is the copy of ${found.markedFor}`;
  return { do: 'refuse', why };
}
