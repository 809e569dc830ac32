import { finished } from 'node:stream/promises';
import { pipeline, Writable } from 'node:stream';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { quoteIdentifier, type Connection } from '../connect.ts';
import type { Relation } from './inventory.ts';

export class CopyError extends Error {
  readonly stage: 'read' | 'write';
  /** The session broke: maybe another table's fault (a server process that crashed ends all sessions). */
  readonly lost: boolean;

  constructor(stage: 'read' | 'write', cause: unknown, lost: boolean) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.stage = stage;
    this.lost = lost;
  }
}

export interface CopiedRows {
  read: number;
  written: number;
}

/**
 * Reads a table by COPY as text and writes it by COPY into the same table of the other database, emptied before, in
 * one transaction. After a CopyError both sessions are in an unknown state: the caller drops them.
 */
export async function copyTable(
  source: Connection,
  target: Connection,
  table: Relation,
  signal: AbortSignal,
): Promise<CopiedRows> {
  await target.query('BEGIN');
  await target.query(`TRUNCATE ONLY ${table.sql}`);
  const reading = source.client.query(copyTo(`COPY ${table.sql} TO STDOUT`));
  const writing = target.client.query(copyFrom(`COPY ${table.sql} FROM STDIN`));
  let readError: unknown;
  let writeError: unknown;
  reading.on('error', (error) => (readError ??= error));
  writing.on('error', (error) => (writeError ??= error));
  const lost = watchForLoss(source, target);
  try {
    await Promise.race([
      new Promise<void>((resolve, reject) => {
        pipeline(reading, writing, (error) => (error ? reject(error) : resolve()));
      }),
      lost.promise,
    ]);
  } catch (error) {
    signal.throwIfAborted();
    const { stage, cause } = blame(readError, writeError, error);
    throw new CopyError(stage, cause, lost.happened() || !isServerError(cause));
  } finally {
    lost.stop();
  }
  await target.query('COMMIT');
  return { read: reading.rowCount, written: writing.rowCount };
}

/** Of two errors, one is only the echo of the other side's end. */
function blame(
  readError: unknown,
  writeError: unknown,
  thrown: unknown,
): { stage: 'read' | 'write'; cause: unknown } {
  if (isServerError(readError)) return { stage: 'read', cause: readError };
  if (isServerError(writeError)) return { stage: 'write', cause: writeError };
  return writeError !== undefined && readError === undefined
    ? { stage: 'write', cause: writeError }
    : { stage: 'read', cause: readError ?? thrown };
}

function isServerError(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && 'code' in error && error.code !== '57014';
}

function watchForLoss(...sessions: Connection[]): {
  promise: Promise<never>;
  happened: () => boolean;
  stop: () => void;
} {
  let happened = false;
  let onEnd: () => void = () => {};
  const promise = new Promise<never>((_resolve, reject) => {
    onEnd = () => {
      happened = true;
      reject(new Error('the session to the server broke'));
    };
  });
  // It may happen after the race is over.
  promise.catch(() => {});
  for (const { client } of sessions) client.once('end', onEnd);
  return {
    promise,
    happened: () => happened,
    stop: () => {
      for (const { client } of sessions) client.off('end', onEnd);
    },
  };
}

/** Reads what a query gives and throws it away: damage shows while reading. Rows read. */
export async function readThrough(session: Connection, query: string): Promise<number> {
  const reading = session.client.query(copyTo(`COPY (${query}) TO STDOUT`));
  const lost = watchForLoss(session);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  try {
    reading.pipe(nowhere);
    await Promise.race([finished(reading, { writable: false }), lost.promise]);
    return reading.rowCount;
  } finally {
    lost.stop();
  }
}

/** Columns that COPY leaves out because the server computes them; what is stored of them is read as well. */
export function storedGeneratedQuery(table: Relation): string | null {
  if (table.storedGenerated.length === 0) return null;
  return `SELECT ${table.storedGenerated.map(quoteIdentifier).join(', ')} FROM ONLY ${table.sql}`;
}
