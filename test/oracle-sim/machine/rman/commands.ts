import { openLocalSql } from '../local-sql.ts';
import { readBackup } from './backup.ts';
import { readValidate } from './validate.ts';
import { readCatalog, readCrosscheck, readDelete } from './catalog.ts';
import { RmanSyntaxError, type RmanCursor } from './lexer.ts';
import { connectTarget, readShutdown, readStartup } from './lifecycle.ts';
import { readList, readReport } from './list.ts';
import { readRecover, readReset } from './recover.ts';
import { readRestore, readSwitch } from './restore.ts';
import { readSet } from './set.ts';
import { BlockFailure, rmanDatabase, RmanError, type RmanSession } from './session.ts';

export interface RmanCommand {
  /** As it stands in "failure of … command". */
  name: string;
  run: () => void | Promise<void>;
}

type Reader = (cursor: RmanCursor, session: RmanSession) => RmanCommand;

const readers: Record<string, Reader> = {
  CONNECT: readConnect,
  STARTUP: readStartup,
  SHUTDOWN: readShutdown,
  SET: readSet,
  RESTORE: readRestore,
  RECOVER: readRecover,
  RESET: readReset,
  SWITCH: readSwitch,
  BACKUP: readBackup,
  VALIDATE: readValidate,
  CATALOG: readCatalog,
  CROSSCHECK: readCrosscheck,
  DELETE: readDelete,
  LIST: readList,
  REPORT: readReport,
  CONFIGURE: readConfigure,
  SHOW: readShow,
  SQL: readSqlText,
  ALLOCATE: readAllocate,
  RELEASE: readRelease,
  RUN: readRun,
};

/** SQL that RMAN takes since 12.1. */
const sqlWords = new Set([
  'ALTER',
  'CREATE',
  'DROP',
  'SELECT',
  'INSERT',
  'UPDATE',
  'GRANT',
  'BEGIN',
  'DECLARE',
]);
const onlyInRun = new Set(['ALLOCATE', 'RELEASE']);

/** Reads one command with its semicolon. CONNECT and STARTUP end at their line, too. */
export function readCommand(cursor: RmanCursor, session: RmanSession): RmanCommand | 'exit' {
  const { token } = cursor;
  if (cursor.accept('EXIT') || cursor.accept('QUIT')) return 'exit';
  const reader =
    token.kind === 'word' && Object.hasOwn(readers, token.text) ? readers[token.text] : undefined;
  if (reader === undefined && !(token.kind === 'word' && sqlWords.has(token.text)))
    throw new RmanSyntaxError(token);
  if (onlyInRun.has(token.text) && session.block === null) throw new RmanSyntaxError(token);
  if (reader === undefined) {
    const command = readSql(cursor, session);
    cursor.accept(';');
    return command;
  }
  cursor.next();
  const command = reader(cursor, session);
  if (token.text === 'RUN' || (token.text === 'CONNECT' && cursor.token.line > token.line)) return command;
  if (!cursor.accept(';') && cursor.token.kind !== 'end') throw new RmanSyntaxError(cursor.token);
  return command;
}

function readConnect(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('TARGET');
  const { line } = cursor.token;
  const words: string[] = [];
  while (!cursor.is(';') && cursor.token.line === line && cursor.token.kind !== 'end')
    words.push(cursor.next().text);
  return { name: 'connect', run: () => connectTarget(session, words.join('')) };
}

function readSql(cursor: RmanCursor, session: RmanSession): RmanCommand {
  return sqlCommand(cursor.restOfStatement(cursor.token.at), session);
}

function readSqlText(cursor: RmanCursor, session: RmanSession): RmanCommand {
  return sqlCommand(cursor.text().replaceAll("''", "'"), session);
}

function sqlCommand(sql: string, session: RmanSession): RmanCommand {
  return {
    name: 'sql statement',
    async run() {
      rmanDatabase(session);
      using local = openLocalSql(session.server);
      await local.run(sql);
      checkDbid(session);
      session.output.push('Statement processed');
    },
  };
}

/** SET DBID of one database, and the control file of another. */
function checkDbid({ dbid, server }: RmanSession): void {
  const control = server.instance.database?.control ?? null;
  if (dbid === null || control === null || control.dbid === dbid) return;
  throw new RmanError(6189, `current DBID ${dbid} does not match target mounted database (${control.dbid})`);
}

function readAllocate(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('CHANNEL');
  const name = cursor.name();
  if (!cursor.accept('DEVICE', 'TYPE')) cursor.expect('TYPE');
  const { token } = cursor;
  if (cursor.name().toUpperCase() !== 'DISK') throw new RmanSyntaxError(token);
  if (cursor.accept('FORMAT')) cursor.text();
  return {
    name: 'allocate',
    run() {
      rmanDatabase(session);
      session.block?.channels.push(name);
      session.output.push(`allocated channel: ${name}`, `channel ${name}: SID=37 device type=DISK`);
    },
  };
}

function readRelease(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('CHANNEL');
  const name = cursor.name();
  return { name: 'release', run: () => void session.output.push(`released channel: ${name}`) };
}

/** What CONFIGURE knows (Backup and Recovery Reference). */
const settings =
  /^(?:RETENTION POLICY|BACKUP OPTIMIZATION|DEFAULT DEVICE TYPE|CONTROLFILE AUTOBACKUP|DEVICE TYPE|CHANNEL|ARCHIVELOG (?:DELETION POLICY|BACKUP COPIES)|DATAFILE BACKUP COPIES|SNAPSHOT CONTROLFILE NAME|ENCRYPTION|MAXSETSIZE|COMPRESSION ALGORITHM|EXCLUDE|AUXNAME|DB_UNIQUE_NAME|TABLESPACE)\b/;

function readConfigure(cursor: RmanCursor, session: RmanSession): RmanCommand {
  const start = cursor.token;
  const words = cursor.restOfStatement(start.at);
  if (!settings.test(words.toUpperCase().replaceAll(/\s+/g, ' '))) throw new RmanSyntaxError(start);
  return {
    name: 'configure',
    run() {
      rmanDatabase(session);
      const clears = /\sCLEAR$/i.test(words);
      if (clears) session.configured.delete(words);
      else session.configured.set(words, words);
      session.output.push(
        clears
          ? 'old RMAN configuration parameters are successfully deleted'
          : 'new RMAN configuration parameters are successfully stored',
      );
    },
  };
}

function readShow(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('ALL');
  return {
    name: 'show',
    run() {
      rmanDatabase(session);
      session.output.push(...Array.from(session.configured.values(), (one) => `CONFIGURE ${one};`));
    },
  };
}

/** All commands of a block are read before the first runs, as RMAN does it. */
function readRun(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('{');
  session.block = {
    until: null,
    newNames: new Map(),
    newNameForDatabase: null,
    channels: [],
    restored: new Map(),
  };
  const { block } = session;
  const commands: RmanCommand[] = [];
  while (!cursor.accept('}')) {
    if (cursor.accept(';')) continue;
    const command = readCommand(cursor, session);
    if (command === 'exit') throw new RmanSyntaxError(cursor.token);
    commands.push(command);
  }
  session.block = null;
  return {
    name: commands[0]?.name ?? 'run',
    async run() {
      session.block = block;
      for (const command of commands) {
        try {
          await command.run();
        } catch (error) {
          throw new BlockFailure(command.name, error);
        }
      }
      for (const channel of block.channels) session.output.push(`released channel: ${channel}`);
      session.block = null;
    },
  };
}
