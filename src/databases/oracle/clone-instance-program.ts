import type { RestoreFacts } from './restore-facts.ts';
import { sqlPlus } from './restore-program.ts';
import type { RestoreTarget } from './restore-target.ts';
import { quoteName, quoteSqlText, requireDatabaseName } from './rman-text.ts';

/**
 * Third, with SQL*Plus and nid: a DBID and a name of its own, so that the clone can never be taken for production. nid does
 * not ask when it has a LOGFILE. Between the scripts stands the nid command of `nidArguments`.
 */
export function writeBeforeNid(parameterFile: string): string {
  return sqlPlus([
    'SHUTDOWN IMMEDIATE',
    `STARTUP RESTRICT MOUNT PFILE=${quoteSqlText(parameterFile, 'the parameter file')}`,
  ]);
}

export function nidArguments(facts: RestoreFacts, target: RestoreTarget, logFile: string): string[] {
  return [
    'nid',
    'TARGET=/',
    `DBNAME=${requireDatabaseName(target.databaseName)}`,
    ...(facts.cdb ? ['PDB=ALL'] : []),
    `LOGFILE=${logFile}`,
  ];
}

/**
 * `parameterFile` is the one written `as-clone`; FORCE, because an earlier try may have left the instance in any state. The
 * session stays restricted until the fence stands (R21).
 */
export function writeAfterNid(
  parameterFile: string,
  facts: RestoreFacts,
  open: 'OPEN RESETLOGS' | 'OPEN' = 'OPEN RESETLOGS',
): string {
  const path = quoteSqlText(parameterFile, 'the parameter file');
  return sqlPlus([
    // First: an instance that was started from the PFILE would refuse to be fenced for good (ORA-32001).
    `CREATE SPFILE FROM PFILE=${path};`,
    'STARTUP FORCE RESTRICT MOUNT',
    keystorePlace,
    `ALTER DATABASE ${open};`,
    ...(facts.cdb ? ['ALTER PLUGGABLE DATABASE ALL OPEN RESTRICTED;', keystoreInside] : []),
    'SELECT DBID, NAME, OPEN_MODE FROM V$DATABASE;',
  ]);
}

/**
 * A cluster is restored as one instance, which writes one thread: the others get no redo any more, and an enabled thread without an
 * instance would have to be archived for ever (Real Application Clusters Administration Guide).
 */
export function writeDisableThreads(threads: readonly number[]): string {
  return sqlPlus(threads.map((thread) => `ALTER DATABASE DISABLE THREAD ${thread};`));
}

/** An instance anew, whatever runs under its name; nobody is let in. */
export function writeStart(parameterFile: string, until: 'NOMOUNT' | 'MOUNT' = 'NOMOUNT'): string {
  const path = quoteSqlText(parameterFile, 'the parameter file');
  return sqlPlus([`STARTUP FORCE RESTRICT ${until} PFILE=${path}`, keystorePlace]);
}

/** Opens once what was open when its machine or its instance went away, so that it can be shut down cleanly for nid. */
export function writeReopen(parameterFile: string): string {
  const path = quoteSqlText(parameterFile, 'the parameter file');
  return sqlPlus([`STARTUP FORCE RESTRICT MOUNT PFILE=${path}`, keystorePlace, 'ALTER DATABASE OPEN;']);
}

/** Where a keystore that does not open by itself is opened: a comment, unless `openKeystore` puts the statement there. */
const keystorePlace = '-- the keystore, where it has a password';

/** In united mode those of pluggable databases open after the root's, once these are open. */
const keystoreInside = '-- the keystore in the pluggable databases, where it has a password';

/** Advanced Security Guide, ADMINISTER KEY MANAGEMENT. The result holds the password: for standard input only. */
export function openKeystore(script: string, password: string, pdbs: readonly string[] = []): string {
  const quoted = quoteName(password, 'the password of the keystore');
  const open = `ADMINISTER KEY MANAGEMENT SET KEYSTORE OPEN IDENTIFIED BY ${quoted};`;
  const inside = [...pdbs, 'CDB$ROOT'].flatMap((name) => {
    const enter = `ALTER SESSION SET CONTAINER = ${quoteName(name, 'a pluggable database')};`;
    return name === 'CDB$ROOT' ? [enter] : [enter, open];
  });
  return script
    .replace('ECHO ON', 'ECHO OFF')
    .replace(keystorePlace, () => open)
    .replace(keystoreInside, () => (pdbs.length === 0 ? keystoreInside : inside.join('\n')));
}
