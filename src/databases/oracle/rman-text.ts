import { ClonaError } from '../../errors.ts';

/**
 * Words of RMAN, SQL*Plus and parameter files. RMAN knows no escape inside of quotes, so what would end a quoted text, begin
 * a comment line or be replaced (&1) is refused rather than written.
 */

/** A path or name in single quotes, for RMAN and for parameter files. */
export function quoteRman(text: string, what: string): string {
  refuse(text, /['"&\p{Cc}]/u, what, 'quotes, & and control characters cannot be written in an RMAN program');
  return `'${text}'`;
}

/** A text in SQL: quotes are doubled. SQL*Plus runs with SET DEFINE OFF, so & is only a letter. */
export function quoteSqlText(text: string, what: string): string {
  refuse(text, /\p{Cc}/u, what, 'control characters cannot be written in SQL');
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name of the database's own: always quoted, so that its case and its signs stay. */
export function quoteName(name: string, what: string): string {
  // A double quote is the one sign that no name of Oracle can hold (SQL Language Reference, Database Object Names).
  refuse(name, /["\p{Cc}]/u, what, 'a name of Oracle holds neither double quotes nor control characters');
  if (new TextEncoder().encode(name).length > 128) {
    throw new ClonaError('usage', `${what} is longer than the 128 bytes a name may have`);
  }
  return `"${name}"`;
}

/** DB_NAME: up to eight letters, digits, _, #, $, beginning with a letter. */
export function requireDatabaseName(name: string): string {
  if (/^[A-Za-z][A-Za-z0-9_#$]{0,7}$/.test(name)) return name.toUpperCase();
  throw new ClonaError('usage', `"${name}" is no name for an Oracle database`, {
    hint: 'up to eight letters and digits, beginning with a letter',
  });
}

export function requireDbid(dbid: string): string {
  if (/^[1-9]\d{0,9}$/.test(dbid)) return dbid;
  throw new ClonaError('catalogInvalid', `"${dbid.slice(0, 20)}" is no DBID`);
}

function refuse(text: string, signs: RegExp, what: string, why: string): void {
  if (text !== '' && !signs.test(text)) return;
  throw new ClonaError(
    'usage',
    text === '' ? `${what} is empty` : `${what} holds a sign that cannot be passed on`,
    {
      hint: why,
    },
  );
}

/** Path of a file in a folder of the guest. */
export function joinGuest(platform: 'linux' | 'windows', folder: string, name: string): string {
  const separator = platform === 'windows' ? '\\' : '/';
  return folder.endsWith(separator) ? `${folder}${name}` : `${folder}${separator}${name}`;
}
