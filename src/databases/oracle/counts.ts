import type oracledb from 'oracledb';
import { ClonaError } from '../../errors.ts';
import {
  widen,
  type Answer,
  type BusinessCount,
  type CountValues,
  type TakenCounts,
} from '../postgres/prove/counts.ts';
import type { OracleSession, OracleSql } from './connect.ts';
import { quoteName, quoteSqlText } from './rman-text.ts';
import { serverError } from './server-errors.ts';

export interface TakeOracleCounts {
  /** Who asks the site's questions. */
  session: OracleSession;
  /** SYSDBA: makes the restore point. */
  sysdba: OracleSql;
  counts: readonly BusinessCount[];
  /** Of the restore point; one of this name that is there was left by an earlier attempt. */
  restorePoint: string;
  now: () => Date;
}

/**
 * Grade 5, production's side: the site's numbers at a named restore point, nobody being kept from work. They are asked as of its SCN
 * (DBMS_FLASHBACK for the session: EXECUTE on it and FLASHBACK on the tables), and hold exactly there. Where rights or undo do not
 * allow that they are asked before and after it, and hold as bounds. The position is exclusive, as everywhere: the SCN after it.
 * Source: PL/SQL Packages and Types Reference, DBMS_FLASHBACK.
 */
export async function takeOracleCounts(options: TakeOracleCounts): Promise<TakenCounts> {
  const { session, sysdba, counts, restorePoint, now } = options;
  const first = await markPoint(sysdba, restorePoint);
  const takenAt = now().toISOString();
  const exact = await askAsOf(session, counts, first.scn);
  if (!('reason' in exact)) {
    const pairs = exact.answers.map(({ name, values }) => ({ name, low: values, high: values }));
    return describe('exact', null, first, takenAt, restorePoint, pairs);
  }
  const before = await askCounts(session, counts);
  const point = await markPoint(sysdba, restorePoint);
  const at = now().toISOString();
  const after = await askCounts(session, counts);
  const pairs = before.map(({ name, values }, index) => ({
    name,
    ...widen(values, after[index]?.values ?? {}),
  }));
  return describe('bounds', exact.reason, point, at, restorePoint, pairs);
}

interface Point {
  scn: bigint;
  incarnation: number;
}

async function markPoint(sysdba: OracleSql, name: string): Promise<Point> {
  const quoted = quoteName(name, 'the restore point');
  const text = quoteSqlText(name, 'the restore point');
  const ask = `SELECT TO_CHAR(SCN), TO_CHAR(DATABASE_INCARNATION#) FROM V$RESTORE_POINT WHERE NAME = ${text}`;
  if ((await sysdba.query(ask)).length > 0) await sysdba.execute(`DROP RESTORE POINT ${quoted}`);
  await sysdba.execute(`CREATE RESTORE POINT ${quoted}`);
  const [[scn = null, incarnation = null] = []] = await sysdba.query(ask);
  if (scn === null) throw new ClonaError('databaseFailed', `the restore point ${name} is not there`);
  return { scn: BigInt(scn), incarnation: Number(incarnation) };
}

function describe(
  mode: TakenCounts['mode'],
  reason: string | null,
  { scn, incarnation }: Point,
  takenAt: string,
  restorePoint: string,
  counts: TakenCounts['counts'],
): TakenCounts {
  const position = String(scn + 1n);
  return { mode, reason, restorePoint, position, timeline: incarnation, takenAt, lockMs: null, counts };
}

async function askAsOf(
  session: OracleSession,
  counts: readonly BusinessCount[],
  scn: bigint,
): Promise<{ answers: Answer[] } | { reason: string }> {
  try {
    await session.execute('BEGIN DBMS_FLASHBACK.ENABLE_AT_SYSTEM_CHANGE_NUMBER(:scn); END;', {
      scn: scn.toString(),
    });
  } catch (error) {
    return { reason: `the past cannot be asked: ${sayBriefly(error)}` };
  }
  try {
    return { answers: await askCounts(session, counts) };
  } catch (error) {
    // A question that is wrong by itself is so without the past, too, and is thrown then.
    return { reason: `the past cannot be asked: ${sayBriefly(error)}` };
  } finally {
    await session.execute('BEGIN DBMS_FLASHBACK.DISABLE; END;');
  }
}

function sayBriefly(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, 200) ?? '';
}

/** Each question by itself; one row of numbers each, exact whatever their size. */
export async function askCounts(session: OracleSession, counts: readonly BusinessCount[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const count of counts) answers.push({ name: count.name, values: await ask(session, count) });
  return answers;
}

async function ask({ driver }: OracleSession, { name, sql }: BusinessCount): Promise<CountValues> {
  const { default: library } = await import('oracledb');
  const asText = (info: { dbType?: unknown }): { type: oracledb.DbType } | undefined =>
    info.dbType === library.DB_TYPE_NUMBER ? { type: library.STRING } : undefined;
  const found = await driver
    .execute<(string | null)[]>(
      sql.trim().replace(/;\s*$/, ''),
      {},
      // Undefined: as it comes; the driver's types leave that out.
      { outFormat: library.OUT_FORMAT_ARRAY, maxRows: 2, fetchTypeHandler: (info) => asText(info)! },
    )
    .catch((error: unknown) => {
      throw serverError(error, `the business count "${name}"`);
    });
  const { rows = [], metaData = [] } = found;
  const [row] = rows;
  if (row === undefined || rows.length !== 1) {
    throw new ClonaError(
      'proofFailed',
      `the business count "${name}" gave ${rows.length === 0 ? 'no row' : 'more than one row'}`,
    );
  }
  return Object.fromEntries(
    metaData.map(({ name: column }, index) => [column.toLowerCase(), readNumber(row[index], name, column)]),
  );
}

function readNumber(value: string | null | undefined, count: string, column: string): string | null {
  if (value === null || value === undefined) return null;
  const text = value.replace(/^(-?)\./, '$10.');
  if (/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return text;
  throw new ClonaError('proofFailed', `the business count "${count}": ${column} is not a number`);
}
