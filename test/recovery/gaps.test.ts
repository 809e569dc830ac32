import { describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { findCurrentGaps, findGaps } from '../../src/recovery/gaps.ts';
import { readReach, reachToJson } from '../../src/recovery/reach.ts';
import { bk, catalogOf, idle, inc, log, online } from './build.ts';

function gapsOf(parts: Partial<Catalog>): string[] {
  return findGaps(catalogOf(parts)).map(
    ({ incarnation, thread, from, to }) => `${incarnation}/${thread}: ${from} to ${to}`,
  );
}

describe('gaps of the log', () => {
  const damaged = { state: 'damaged' } as const;
  const two = [inc(1), inc(2, 1, 200)];
  const branch = { currentIncarnation: 2, incarnations: two };
  test.each<[string, Partial<Catalog>, string[]]>([
    ['none in an empty catalog', {}, []],
    ['none before the first log where no backup is', { logs: [log(5, 500, 600)] }, []],
    ['between two logs', { logs: [log(1, 1, 100), log(3, 200, 300)] }, ['1/1: 100 to 200']],
    [
      'a damaged log in the middle',
      { logs: [log(1, 1, 100), log(2, 100, 200, damaged), log(3, 200, 300)] },
      ['1/1: 100 to 200'],
    ],
    ['a damaged last log', { logs: [log(1, 1, 100), log(2, 100, 200, damaged)] }, ['1/1: 100 to 200']],
    ['a copy that is whole closes it', { logs: [log(1, 1, 100), log(1, 1, 100, damaged)] }, []],
    [
      'what a backup needs below the first log',
      { backups: [bk('B', 50)], logs: [log(2, 100, 200)] },
      ['1/1: 50 to 100'],
    ],
    [
      'not what the backup carries itself',
      { backups: [bk('B', 50, 100, { ownLog: true })], logs: [log(2, 100, 200)] },
      [],
    ],
    [
      'not for a backup that is gone',
      { backups: [bk('B', 50, 60, { state: 'missing' })], logs: [log(2, 100, 200)] },
      [],
    ],
    ['not for an export', { backups: [bk('B', 50, 60, { kind: 'export' })], logs: [log(2, 100, 200)] }, []],
    ['not above all that is known', { backups: [bk('B', 250)], logs: [log(1, 100, 200)] }, []],
    [
      'between the last archived and the online log',
      { logs: [log(1, 1, 100)], onlineLogs: [online(150, 180)] },
      ['1/1: 100 to 150'],
    ],
    [
      'of a thread alone',
      { logs: [log(1, 1, 300), log(1, 1, 100, { thread: 2 }), log(3, 200, 300, { thread: 2 })] },
      ['1/2: 100 to 200'],
    ],
    [
      'none where a thread was disabled',
      {
        logs: [log(1, 1, 300), log(1, 1, 100, { thread: 2 }), log(3, 200, 300, { thread: 2 })],
        idleThreads: [idle(100, 200), idle(300, null), idle(1, 9, { thread: 3 })],
      },
      [],
    ],
    [
      'none of a thread of which nothing is known but that it was disabled',
      {
        incarnations: two,
        backups: [bk('B', 50)],
        logs: [log(1, 1, 300)],
        idleThreads: [idle(100, 200, { thread: 3 }), idle(200, 250, { incarnation: 2 })],
      },
      [],
    ],
    [
      'where a thread was disabled for a part of it',
      {
        logs: [log(1, 1, 300), log(1, 1, 100, { thread: 2 }), log(3, 200, 300, { thread: 2 })],
        idleThreads: [idle(120, 200)],
      },
      ['1/2: 100 to 120'],
    ],
    [
      "the parent's tail before the branch",
      { ...branch, backups: [bk('B', 50)], logs: [log(1, 50, 150), log(1, 200, 300, { incarnation: 2 })] },
      ['1/1: 150 to 200'],
    ],
    [
      "none where the child's first log brings it",
      { ...branch, backups: [bk('B', 50)], logs: [log(1, 50, 150), log(2, 150, 300, { incarnation: 2 })] },
      [],
    ],
    [
      'one of the parent and one of the child over the branch',
      { ...branch, backups: [bk('B', 50)], logs: [log(1, 50, 150), log(3, 250, 300, { incarnation: 2 })] },
      ['1/1: 150 to 200', '2/1: 200 to 250'],
    ],
    [
      'nothing of what was removed below every backup',
      {
        ...branch,
        backups: [bk('B', 400, 410, { incarnation: 2 })],
        logs: [log(4, 380, 500, { incarnation: 2 })],
      },
      [],
    ],
    [
      "in an orphan's own tail",
      { ...branch, logs: [log(1, 1, 250), log(3, 300, 350), log(1, 200, 300, { incarnation: 2 })] },
      ['1/1: 250 to 300'],
    ],
    [
      'one hole once, whichever way sees how much of it',
      {
        currentIncarnation: 3,
        incarnations: [inc(1), inc(2, 1, 200), inc(3, 1, 300)],
        logs: [log(1, 1, 150), log(4, 350, 400), log(4, 350, 400, { incarnation: 3 })],
        backups: [bk('B', 50), bk('C', 360, 370, { incarnation: 3 })],
      },
      ['1/1: 150 to 350', '3/1: 300 to 350'],
    ],
  ])('%s', (_, parts, expected) => expect(gapsOf(parts)).toEqual(expected));
});

test('where the path leaves an incarnation before its first log, nothing is known and nothing is missed', () => {
  const catalog = catalogOf({
    currentIncarnation: 3,
    incarnations: [inc(1), inc(2, 1, 40), inc(3, 2, 100)],
    logs: [log(1, 1, 40), log(1, 100, 150, { incarnation: 2 })],
  });
  expect(findCurrentGaps(catalog)).toEqual([]);
});

describe('what an archive can bring back', () => {
  test('a grade of 3 is proof enough', () => {
    const chain = catalogOf({
      backups: [
        bk('A', 50, 60, { grade: 0 }),
        bk('B', 100, 110, { requires: ['A'], grade: 3 }),
        bk('C', 120, 130, { requires: ['A', 'B'], grade: 3 }),
        bk('D', 200, 210, { grade: 2 }),
      ],
      logs: [log(1, 50, 150), log(2, 200, 300)],
    });
    expect(reachToJson(readReach(chain))).toMatchObject({
      newest: { position: '300', backup: 'D' },
      newestProven: { position: '130', backup: 'C', grade: 3 },
      newestProvable: '150',
    });
  });

  const logs = [log(1, 50, 300)];
  test.each<[string, Partial<Catalog>, unknown]>([
    ['nothing', {}, { newest: null, oldest: null, newestProven: null, newestProvable: null }],
    [
      'a backup that was never opened',
      { backups: [bk('B', 50, 60)], logs },
      {
        newest: { position: '300', backup: 'B' },
        oldest: { position: '60', backup: 'B' },
        newestProven: null,
        newestProvable: null,
      },
    ],
    [
      'an older one that was',
      { backups: [bk('A', 50, 60, { grade: 4 }), bk('B', 100, 110)], logs },
      {
        newest: { position: '300', backup: 'B' },
        oldest: { position: '60', backup: 'A' },
        newestProven: { position: '60', backup: 'A', grade: 4 },
        newestProvable: '300',
      },
    ],
    [
      'a gap behind the proven one',
      {
        backups: [bk('A', 50, 60, { grade: 4 }), bk('B', 200, 210)],
        logs: [log(1, 50, 100), log(3, 200, 300)],
      },
      {
        newest: { position: '300', backup: 'B' },
        oldest: { position: '60', backup: 'A' },
        newestProven: { position: '60', backup: 'A', grade: 4 },
        newestProvable: '100',
      },
    ],
    [
      'a base that is gone',
      {
        backups: [bk('A', 50, 60, { state: 'missing' }), bk('B', 100, 110, { requires: ['A'], grade: 5 })],
        logs,
      },
      { newest: null, oldest: null, newestProven: null, newestProvable: null },
    ],
    [
      'a hot backup whose own log is not there',
      { backups: [bk('A', 20, 40, { grade: 3 }), bk('B', 100, 110)], logs },
      {
        newest: { position: '300', backup: 'B' },
        oldest: { position: '110', backup: 'B' },
        newestProven: null,
        newestProvable: null,
      },
    ],
  ])('%s', (_, parts, expected) => expect(reachToJson(readReach(catalogOf(parts)))).toEqual(expected));
});
