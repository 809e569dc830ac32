import { setTimeout } from 'node:timers/promises';
import { silent, type OnProgress, type ProgressEvent } from '../../progress.ts';
import type { OracleTools } from './guest-tools.ts';
import { openSqlPlusSession } from './sqlplus-session.ts';

/** One line of what the instance tells about long work: kind, name, done, total, seconds left, unit. */
export type LongRow = readonly (string | null)[];

/**
 * RMAN's channels that are at work now, the recovery that runs, and the size of a block, in one statement. Rows of channels
 * that ended stay in the view: only those whose session is there count (Backup and Recovery User's Guide, Monitoring RMAN
 * through V$ Views). V$RECOVERY_PROGRESS is part of the same memory (Database Reference).
 */
const question = `SELECT 'rman' AS KIND, L.OPNAME AS NAME, L.SOFAR AS DONE, L.TOTALWORK AS TOTAL, L.TIME_REMAINING AS LEFT_SECONDS,
  L.CONTEXT AS CONTEXT
FROM V$SESSION_LONGOPS L JOIN V$SESSION S ON S.SID = L.SID AND S.SERIAL# = L.SERIAL#
WHERE L.OPNAME LIKE 'RMAN%' AND L.TOTALWORK > 0
UNION ALL
SELECT 'redo', ITEM, SOFAR, TOTAL, NULL, NULL FROM V$RECOVERY_PROGRESS WHERE UPPER(TYPE) = 'MEDIA RECOVERY'
UNION ALL
SELECT 'block', NAME, TO_NUMBER(VALUE), 0, NULL, NULL FROM V$PARAMETER WHERE NAME = 'db_block_size'`;

export interface LongWork {
  doneBytes: number;
  totalBytes: number;
  /** 0 to 100, rounded down: 100 is only what is done. */
  percent: number;
  /** null: it cannot be said yet. */
  secondsLeft: number | null;
  /** Archived logs that recovery has applied; null: none is running. */
  logsApplied: number | null;
}

/**
 * What the rows mean together. Aggregate rows tell the whole command and move at the end of each step; the steps that are not
 * through yet move with every buffer, so both are added. A backup has rows for what it reads (CONTEXT 1) and writes (2): the
 * first ones count. null: nothing is told.
 */
export function summarizeLongRows(rows: readonly LongRow[]): LongWork | null {
  const blockBytes = Number(rows.find(([kind]) => kind === 'block')?.[2] ?? 8192);
  const steps = rows
    .filter(([kind, , , , , context]) => kind === 'rman' && context !== '2')
    .map(([, name, done, total, left]) => ({
      isWhole: name?.includes('aggregate') === true,
      done: Number(done ?? 0),
      total: Number(total ?? 0),
      left: left === null || left === undefined ? null : Number(left),
    }));
  const applied = rows.find(([kind, name]) => kind === 'redo' && name === 'Log Files')?.[2];
  const logsApplied = applied === undefined ? null : Number(applied);
  if (steps.length === 0 && logsApplied === null) return null;
  const running = steps.filter(({ isWhole, done, total }) => !isWhole && done < total);
  const whole = steps.findLast(({ isWhole, done, total }) => isWhole && done < total);
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const total = whole?.total ?? sum(running.map((one) => one.total));
  const done = Math.min(total, (whole?.done ?? 0) + sum(running.map((one) => one.done)));
  const left = (whole === undefined ? running : [whole, ...running]).flatMap((one) => one.left ?? []);
  return {
    doneBytes: done * blockBytes,
    totalBytes: total * blockBytes,
    percent: total === 0 ? 0 : Math.floor((done * 100) / total),
    secondsLeft: left.length === 0 ? null : Math.max(...left),
    logsApplied,
  };
}

export function describeLongWork({ percent, secondsLeft, totalBytes, logsApplied }: LongWork): string {
  const recovery = logsApplied === null ? [] : [`recovery: ${logsApplied} logs applied`];
  if (totalBytes === 0) return recovery.join(', ');
  const left = secondsLeft === null ? [] : [`about ${describeSeconds(secondsLeft)} left`];
  return [`${percent} %`, ...left, ...recovery].join(', ');
}

function describeSeconds(seconds: number): string {
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export interface WatchOptions {
  step: string;
  onProgress: OnProgress;
  /** Between two questions. Default 5 s: each starts SQL*Plus on the machine. */
  pollMs?: number | undefined;
}

/**
 * Does `work` and tells, from a second session of the same machine that only reads, how far RMAN is. What cannot be asked (the
 * instance is starting, SQL*Plus is old) is not told: `work` alone decides what comes of it.
 */
export async function watchLongWork<Result>(
  tools: OracleTools,
  { step, onProgress, pollMs = 5000 }: WatchOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  if (onProgress === silent) return work();
  const over = new AbortController();
  const signal = AbortSignal.any([tools.signal, over.signal]);
  const session = openSqlPlusSession({ ...tools, signal }, 'progress');
  let last = '';
  const watching = (async (): Promise<void> => {
    while (!signal.aborted) {
      await setTimeout(pollMs, undefined, { signal });
      const found = await session.query(question).then(summarizeLongRows, () => null);
      const event = found === null ? null : eventOf(step, found);
      if (event === null || over.signal.aborted || JSON.stringify(event) === last) continue;
      last = JSON.stringify(event);
      onProgress(event);
    }
  })();
  try {
    return await work();
  } finally {
    over.abort();
    // It ends by the abort, and whatever it met is nothing to the work.
    await watching.catch(() => {});
  }
}

function eventOf(step: string, found: LongWork): ProgressEvent {
  const { doneBytes, totalBytes } = found;
  const bytes = totalBytes === 0 ? {} : { doneBytes, totalBytes };
  return { step, state: 'running', ...bytes, detail: describeLongWork(found) };
}
