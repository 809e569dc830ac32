import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { writeDurably } from '../../archive/durable-file.ts';
import { ClonaError, toClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import type { DatabaseAddress } from '../database.ts';
import { connectOracle } from './connect.ts';
import { makeFolder, runSqlPlus, type OracleTools } from './guest-tools.ts';
import { sqlPlus } from './restore-program.ts';
import { quoteName } from './rman-text.ts';
import { after, readScn } from './values.ts';

/** A moment at which no transaction runs. */
export interface QuietPoint {
  /** Everything that was committed lies below it, and nothing that was not. */
  consistentFrom: Position;
  /** quiesce: the server held everybody; locks: every table of people's was locked in share mode. */
  how: 'quiesce' | 'locks';
  /** Longest time that a writer waited. */
  pauseMs: number;
}

export interface QuietPointOptions {
  address: DatabaseAddress;
  tools: OracleTools;
  /** Where the mark lies that says the server is quiesced by us. */
  archiveDir: string;
  /** The longest pause, waiting for running transactions included. */
  limitMs: number;
  now: () => number;
}

/**
 * Writers pause until the running transactions have ended; then the SCN is read, and they go on. ALTER SYSTEM QUIESCE RESTRICTED is for
 * SYS alone and needs the Resource Manager (Enterprise Edition; SQL Language Reference), so it goes through SQL*Plus on the
 * machine; where it is refused all tables are locked in share mode instead. Whatever happens the server is unquiesced; a kill
 * of clona leaves a mark for `endLeftQuiesce`. Throws `databaseFailed` when transactions run longer than `limitMs`.
 */
export async function findQuietPoint(options: QuietPointOptions): Promise<QuietPoint> {
  const { tools, archiveDir, limitMs, now } = options;
  const limit = AbortSignal.timeout(limitMs);
  await writeDurably(markOf(archiveDir), `${JSON.stringify({ startedAt: new Date(now()).toISOString() })}\n`);
  const began = now();
  let text = '';
  try {
    const signal = AbortSignal.any([tools.signal, limit]);
    ({ text } = await runSqlPlus({ ...tools, signal }, 'quiesce', sqlPlus(quiesceLines)));
  } catch (error) {
    tools.signal.throwIfAborted();
    if (!limit.aborted) throw error;
  } finally {
    // ORA-25505 where the script did it already.
    await unquiesce(tools);
    await rm(markOf(archiveDir), { force: true });
  }
  const scn = /^clona\|scn\|(\d+)\s*$/m.exec(text)?.[1];
  if (scn !== undefined) {
    const consistentFrom = after(readScn(scn, 'V$DATABASE.CURRENT_SCN'));
    return { consistentFrom, how: 'quiesce', pauseMs: now() - began };
  }
  if (limit.aborted) throw tooLong(limitMs);
  return lockTables(options);
}

const quiesceLines = [
  'ALTER SYSTEM QUIESCE RESTRICTED;',
  "SELECT 'clona|scn|' || TO_CHAR(CURRENT_SCN) FROM V$DATABASE;",
  'ALTER SYSTEM UNQUIESCE;',
];

const markOf = (archiveDir: string): string => join(archiveDir, '.oracle-quiesced.json');

const patience = { times: 30, pauseMs: 1000 } as const;

/** Until the server says that it is so: the session that asked for it may be dying still. A server that is down forgot it. */
async function unquiesce(tools: OracleTools): Promise<void> {
  const signal = AbortSignal.timeout(300_000);
  for (let count = 1; ; count += 1) {
    const { text } = await runSqlPlus({ ...tools, signal }, 'unquiesce', sqlPlus(unquiesceLines));
    const state = /^clona\|state\|(\w+)\s*$/m.exec(text)?.[1] ?? 'NORMAL';
    if (state === 'NORMAL') return;
    if (count === patience.times) {
      throw new ClonaError('databaseFailed', `the server is still ${state.toLowerCase()}: nobody can work`, {
        hint: 'as SYS, at once: ALTER SYSTEM UNQUIESCE',
      });
    }
    await wait(patience.pauseMs);
  }
}

const unquiesceLines = [
  'WHENEVER SQLERROR CONTINUE',
  'ALTER SYSTEM UNQUIESCE;',
  "SELECT 'clona|state|' || ACTIVE_STATE FROM V$INSTANCE;",
];

/** A clona that was killed in the middle: its server lets nobody work. Whether there was one. */
export async function endLeftQuiesce(tools: OracleTools, archiveDir: string): Promise<boolean> {
  const left = await readFile(markOf(archiveDir)).catch(() => null);
  if (left === null) return false;
  await makeFolder(tools.guest, tools.workDir, tools.signal);
  await unquiesce(tools);
  await rm(markOf(archiveDir), { force: true });
  return true;
}

function tooLong(limitMs: number): ClonaError {
  return new ClonaError(
    'databaseFailed',
    `running transactions did not end within ${limitMs / 1000} s: there was no quiet moment`,
    { hint: 'V$TRANSACTION shows them; writers go on meanwhile; try again, or take a hot backup' },
  );
}

const tablesAtOnce = 100;

/** External and temporary tables hold nothing of the database's. */
const lockable = `SELECT T.OWNER, T.TABLE_NAME FROM DBA_TABLES T JOIN DBA_USERS U ON U.USERNAME = T.OWNER
WHERE U.ORACLE_MAINTAINED = 'N' AND T.TEMPORARY = 'N' AND T.NESTED = 'NO' AND T.DROPPED = 'NO' AND T.SECONDARY = 'N'
ORDER BY T.OWNER, T.TABLE_NAME`;

async function lockTables({ address, tools, limitMs, now }: QuietPointOptions): Promise<QuietPoint> {
  await using session = await connectOracle(address, tools.signal, { module: 'clona quiesced backup' });
  const tables = await session.query(lockable, {}, 'reading DBA_TABLES');
  const began = now();
  try {
    for (let at = 0; at < tables.length; at += tablesAtOnce) {
      const names = tables
        .slice(at, at + tablesAtOnce)
        .map(([owner, name]) => `${quoteName(owner ?? '', 'a user')}.${quoteName(name ?? '', 'a table')}`);
      const left = Math.max(0, Math.ceil((limitMs - (now() - began)) / 1000));
      await session.execute(`LOCK TABLE ${names.join(', ')} IN SHARE MODE WAIT ${left}`);
    }
    const [[scn = null] = []] = await session.query('SELECT CURRENT_SCN FROM V$DATABASE');
    const consistentFrom = after(readScn(scn, 'V$DATABASE.CURRENT_SCN'));
    return { consistentFrom, how: 'locks', pauseMs: now() - began };
  } catch (error) {
    const { details } = toClonaError(error);
    if (details?.['code'] === 'ORA-30006' || details?.['code'] === 'ORA-00054') throw tooLong(limitMs);
    throw error;
  } finally {
    await session.driver.rollback().catch(() => {});
  }
}
