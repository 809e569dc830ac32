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

/** Commits small transactions without a rest until it is stopped; its rows do not compress well. */
export async function startZoneWriter(cluster: TestCluster, spool: string): Promise<ZoneWriter> {
  const session = await cluster.connect();
  await session.query('create table if not exists journal (id bigserial, filler text)');
  const writer = { rows: 0, problems: [] as unknown[], stopped: false, pauseMs: easyPauseMs };
  const writing = (async () => {
    while (!writer.stopped) {
      try {
        await session.query(
          `insert into journal (filler) select string_agg(md5(random()::text), '') from generate_series(1, 200) as n, generate_series(1, 40) as row group by row`,
        );
        writer.rows += 40;
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
      while (!(await isEnough())) writer.pauseMs = (await readdir(spool)).length > 4 ? easyPauseMs : 0;
      writer.pauseMs = easyPauseMs;
    },
    stop: async () => {
      writer.stopped = true;
      await writing;
      await session[Symbol.asyncDispose]();
    },
  });
}
