import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import type { TestCluster } from './cluster.ts';

/** These actions, in this order, others between them. */
export function expectInOrder(found: readonly (string | null)[], wanted: readonly string[]): void {
  let at = -1;
  for (const kind of wanted) {
    at = found.indexOf(kind, at + 1);
    expect(at, `${kind} in ${found.join(', ')}`).toBeGreaterThan(-1);
  }
}

export interface ZoneWriter {
  rows: number;
  problems: unknown[];
  /** Writes as fast as it can until the condition holds; before and after it goes on at an easy pace. */
  fill: (isEnough: () => Promise<boolean>) => Promise<void>;
  stop: () => Promise<void>;
}

const easyPauseMs = 150;
const lookEveryMs = 20;
const rowsAtOnce = 40;

/** Commits small transactions without a rest until it is stopped; its rows do not compress well. */
export async function startZoneWriter(cluster: TestCluster, spool: string): Promise<ZoneWriter> {
  const session = await cluster.connect();
  await session.query('create table if not exists journal (id bigserial, filler text)');
  // What does not compress need not be tried.
  await session.query('alter table journal alter filler set storage external');
  const writer = { rows: 0, problems: [] as unknown[], stopped: false, pauseMs: easyPauseMs };
  const writing = (async () => {
    while (!writer.stopped) {
      try {
        const rows = Array.from({ length: rowsAtOnce }, () => randomBytes(3200).toString('base64'));
        await session.query('insert into journal (filler) select unnest($1::text[])', [rows]);
        writer.rows += rowsAtOnce;
      } catch (error) {
        writer.problems.push(error);
      }
      await wait(writer.pauseMs);
      if (writer.rows % 4000 === 0) await session.query('truncate journal');
    }
  })();
  return Object.assign(writer, {
    fill: async (isEnough: () => Promise<boolean>) => {
      // The archiver sets the pace: a backlog would arrive in the archive while the guard is at work.
      while (!(await isEnough())) {
        writer.pauseMs = (await readdir(spool)).length > 4 ? easyPauseMs : 0;
        // To look is work, too.
        await wait(lookEveryMs);
      }
      writer.pauseMs = easyPauseMs;
    },
    stop: async () => {
      writer.stopped = true;
      await writing;
      await session[Symbol.asyncDispose]();
    },
  });
}
