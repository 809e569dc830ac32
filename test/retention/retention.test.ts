import { describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/recovery/catalog.ts';
import type { Policy } from '../../src/retention/policy.ts';
import { decideRetention, type RetentionAnswer } from '../../src/retention/retention.ts';
import { bk, catalogOf, inc, log, online } from '../recovery/build.ts';

const now = Date.parse('2024-05-10T00:00:00Z');
const off: Policy = { redundancy: 0, windowDays: 0, orphanDays: 0 };
const on = (day: number, hour = 0): { finishedAt: string } => ({
  finishedAt: `2024-05-${String(day).padStart(2, '0')}T${String(hour).padStart(2, '0')}:00:00Z`,
});

function retain(parts: Partial<Catalog>, policy: Partial<Policy> = {}): RetentionAnswer {
  return decideRetention(catalogOf(parts), { ...off, ...policy }, now);
}

const kept = (answer: RetentionAnswer): string =>
  answer.backups
    .filter(({ keep }) => keep)
    .map(({ label }) => label)
    .join(' ');
const marks = (answer: RetentionAnswer): string =>
  answer.lowWaterMarks.map(({ incarnation, position }) => `${incarnation}:${position}`).join(' ');
const deletable = (answer: RetentionAnswer): string =>
  answer.deletableLogs.map((one) => `${one.incarnation}/${one.thread}/${one.sequence}`).join(' ');
const reasons = (answer: RetentionAnswer, label: string): string =>
  answer.backups.find((one) => one.label === label)?.reasons.join('; ') ?? '';

/** Self-contained backups: they need no log. */
const five = [1, 2, 3, 4, 5].map((day) =>
  bk(`D${day}`, day * 10, day * 10, { ...on(day), grade: day === 2 ? 5 : 1 }),
);

describe('A17: redundancy and window', () => {
  test('with every rule off only the newest of the best grade stays', () => {
    expect(kept(retain({ backups: five }))).toBe('D2');
  });

  test('redundancy keeps the n newest', () => {
    expect(kept(retain({ backups: five }, { redundancy: 2 }))).toBe('D2 D4 D5');
    expect(kept(retain({ backups: five }, { redundancy: 9 }))).toBe('D1 D2 D3 D4 D5');
  });

  test('of equal age the lower label is the newer', () => {
    const same = ['c', 'B', 'a', 'B1'].map((label) => bk(label, 10, 10, { grade: label === 'c' ? 2 : 1 }));
    expect(kept(retain({ backups: same }, { redundancy: 2 }))).toBe('c B B1');
  });

  test('the window keeps what finished inside it and the newest before it', () => {
    expect(kept(retain({ backups: five }, { windowDays: 7 }))).toBe('D2 D3 D4 D5');
    expect(kept(retain({ backups: five }, { windowDays: 6.5 }))).toBe('D2 D3 D4 D5');
    expect(kept(retain({ backups: five }, { windowDays: 100 }))).toBe('D1 D2 D3 D4 D5');
  });

  test('what finished exactly when the window begins is the newest before it', () => {
    expect(kept(retain({ backups: five }, { windowDays: 6 }))).toBe('D2 D4 D5');
  });

  test('the rules are a union', () => {
    expect(kept(retain({ backups: five }, { windowDays: 5, redundancy: 3 }))).toBe('D2 D3 D4 D5');
  });

  test('an unavailable one is obsolete and does not count', () => {
    const gone = five.map((one) => (one.label === 'D5' ? { ...one, state: 'expired' as const } : one));
    expect(kept(retain({ backups: gone }, { redundancy: 1 }))).toBe('D2 D4');
    expect(reasons(retain({ backups: gone }), 'D5')).toBe('it is expired and not pinned');
  });

  test('a pinned one is kept whatever its state or incarnation', () => {
    const parts = {
      incarnations: [inc(1), inc(2, 1, 20)],
      backups: [
        bk('LOST', 10, 10, { pinned: true, state: 'missing' as const }),
        bk('AWAY', 30, 30, { pinned: true, incarnation: 2 }),
        bk('B', 15, 15),
      ],
    };
    const answer = retain(parts);
    expect(kept(answer)).toBe('LOST AWAY B');
    expect(answer.backups.map(({ flagged }) => flagged)).toEqual([true, false, false]);
  });

  test('an unusable one is kept and flagged until a usable one finished later', () => {
    const useless = bk('HOT', 20, 30, { ...on(5), grade: 6 });
    const alone = retain({ backups: [useless] });
    expect(kept(alone)).toBe('HOT');
    expect(alone.backups[0]!.flagged).toBe(true);
    expect(kept(retain({ backups: [useless, bk('OK', 50, 50, on(4))] }))).toBe('HOT OK');
    expect(kept(retain({ backups: [useless, bk('OK', 50, 50, on(5))] }))).toBe('HOT OK');
    expect(kept(retain({ backups: [useless, bk('OK', 50, 50, on(5, 1))] }))).toBe('OK');
  });

  test('an export does not make a backup obsolete, nor the other way round', () => {
    const backups = [bk('HOT', 20, 30, on(5)), bk('EXP', 50, 50, { ...on(6), kind: 'export' })];
    expect(kept(retain({ backups }))).toBe('HOT EXP');
  });

  test('the online log makes nothing usable', () => {
    const backups = [bk('OLD', 10, 10, on(1)), bk('FRESH', 40, 60, on(2))];
    const parts = { backups, logs: [log(1, 1, 50)], onlineLogs: [online(50, 70)] };
    const answer = retain(parts, { redundancy: 1 });
    expect(kept(answer)).toBe('OLD FRESH');
    expect(answer.backups[1]!.flagged).toBe(true);
    expect(kept(retain({ ...parts, logs: [log(1, 1, 60)] }, { redundancy: 1 }))).toBe('FRESH');
  });
});

describe('A15 and the orphan window', () => {
  const parts = {
    currentIncarnation: 3,
    incarnations: [inc(1), inc(2, 1, 50), inc(3, 1, 40)],
    backups: [
      bk('OK', 40, 40, on(1)),
      bk('LATE', 35, 41, on(8)),
      bk('ORPHAN', 55, 55, { ...on(8), incarnation: 2 }),
      bk('EXP', 45, 45, { ...on(8), kind: 'export' }),
    ],
  };
  test('without it all of them are obsolete', () => {
    expect(kept(retain(parts))).toBe('OK');
    expect(reasons(retain(parts), 'LATE')).toContain('does not serve the CURRENT incarnation');
  });
  test('inside it they are kept, at its very edge no more', () => {
    expect(kept(retain(parts, { orphanDays: 2.1 }))).toBe('OK LATE ORPHAN EXP');
    expect(kept(retain(parts, { orphanDays: 2 }))).toBe('OK');
  });
});

describe('A16: exports', () => {
  test('are a series of their own and set no mark', () => {
    const backups = [
      bk('E1', 10, 10, { ...on(1), kind: 'export' }),
      bk('E2', 20, 20, { ...on(2), kind: 'export' }),
      bk('B1', 30, 30, on(3)),
      bk('B2', 40, 40, on(4)),
    ];
    const answer = retain({ backups, logs: [log(1, 1, 30), log(2, 30, 40)] }, { redundancy: 1 });
    expect(kept(answer)).toBe('E2 B2');
    expect(marks(answer)).toBe('1:40');
    expect(deletable(answer)).toBe('1/1/1 1/1/2');
  });
  test('alone leave no mark, and no log may go', () => {
    const answer = retain({ backups: [bk('E1', 90, 90, { kind: 'export' })], logs: [log(1, 1, 30)] });
    expect(marks(answer)).toBe('1:null');
    expect(deletable(answer)).toBe('');
  });
});

describe('A18: the best grade', () => {
  test('never verified is lower than grade 0', () => {
    const backups = [
      bk('ZERO', 10, 10, { ...on(1), grade: 0 }),
      bk('NULL', 20, 20, { ...on(2), grade: null }),
    ];
    expect(kept(retain({ backups }))).toBe('ZERO');
    const newer = [bk('ZERO', 30, 30, { ...on(3), grade: 0 }), backups[1]!];
    expect(kept(retain({ backups: newer }))).toBe('ZERO');
  });
  test('an unusable one is the best only where nothing is usable', () => {
    const backups = [bk('HOT6', 20, 30, { ...on(5), grade: 6 }), bk('HOT1', 20, 30, { ...on(6), grade: 1 })];
    expect(reasons(retain({ backups }), 'HOT6')).toContain('best grade (6)');
    const more = retain({ backups: [...backups, bk('OK', 1, 1, { ...on(7), grade: null })] });
    expect(kept(more)).toBe('OK');
    expect(reasons(more, 'OK')).toContain('best grade (never verified)');
  });
});

describe('A19: the archive low water mark', () => {
  const tree = {
    currentIncarnation: 3,
    incarnations: [inc(1), inc(2, 1, 50), inc(3, 1, 40), inc(4, 2, 70)],
    logs: [
      log(1, 1, 20),
      log(2, 20, 45),
      log(1, 50, 70, { incarnation: 2 }),
      log(1, 70, 90, { incarnation: 4, nextTime: '2024-05-08T00:00:00Z' }),
      log(1, 40, 60, { incarnation: 3 }),
    ],
  };

  test('is the lowest start kept on it, below it, or above it and consistent before the branch', () => {
    const backups = [
      bk('B', 30, 38),
      bk('P', 60, 65, { incarnation: 2, pinned: true }),
      bk('P1', 35, 45, { pinned: true }),
    ];
    expect(marks(retain({ ...tree, backups }, { orphanDays: 3 }))).toBe('1:30 2:30 3:30 4:30');
    const late = [bk('P1', 35, 45, { pinned: true }), bk('ON3', 44, 44, { incarnation: 3 })];
    expect(marks(retain({ ...tree, backups: late }, { orphanDays: 3 }))).toBe('1:35 2:35 3:44 4:35');
  });

  test('an abandoned ORPHAN has none, and all its logs may go, those of its descendants too', () => {
    const answer = retain({ ...tree, backups: [bk('B', 20, 38)] });
    expect(marks(answer)).toBe('1:20 2:null 3:20 4:null');
    expect(answer.lowWaterMarks.map(({ abandoned }) => abandoned)).toEqual([false, true, false, true]);
    expect(deletable(answer)).toBe('1/1/1 2/1/1 4/1/1');
  });

  test('a young log of a descendant keeps its ancestors from being abandoned', () => {
    const older = tree.logs.map((one) =>
      one.incarnation === 2 ? { ...one, nextTime: '2024-05-01T00:00:00Z' } : one,
    );
    const young = retain({ ...tree, logs: older, backups: [bk('B', 20, 38)] }, { orphanDays: 2.5 });
    expect(marks(young)).toBe('1:20 2:20 3:20 4:20');
    const old = retain({ ...tree, logs: older, backups: [bk('B', 20, 38)] }, { orphanDays: 2 });
    expect(marks(old)).toBe('1:20 2:null 3:20 4:null');
  });

  test('a log without an end time keeps an ORPHAN while there is an orphan window', () => {
    const answer = retain({ ...tree, backups: [bk('B', 20, 38)] }, { orphanDays: 0.1 });
    expect(marks(answer)).toBe('1:20 2:20 3:20 4:null');
  });

  test('an ORPHAN without any log is abandoned whatever the orphan window', () => {
    const answer = retain({ ...tree, logs: [], backups: [bk('B', 20, 38)] }, { orphanDays: 9 });
    expect(marks(answer)).toBe('1:20 2:null 3:20 4:null');
  });

  test("an incarnation of CURRENT's path is never abandoned: with nothing kept nothing may go", () => {
    const answer = retain({ ...tree, backups: [] });
    expect(marks(answer)).toBe('1:null 2:null 3:null 4:null');
    expect(deletable(answer)).toBe('2/1/1 4/1/1');
  });

  test('a log may go at the mark, not past it, in any state', () => {
    const logs = [log(1, 1, 20), log(2, 20, 21), log(3, 1, 19, { state: 'missing' })];
    expect(deletable(retain({ backups: [bk('B', 20)], logs }))).toBe('1/1/1 1/1/3');
  });
});

test('deletable logs come by incarnation, thread and sequence, each by its number', () => {
  const logs = [
    log(11, 1, 5, { incarnation: 2 }),
    log(3, 1, 5, { thread: 2 }),
    log(10, 1, 5),
    log(2, 1, 5, { thread: 10 }),
    log(9, 1, 5),
    log(9, 1, 5, { incarnation: 2 }),
    log(1, 60, 70),
  ];
  const answer = retain({
    incarnations: [inc(1), inc(2, 1, 40)],
    currentIncarnation: 2,
    backups: [bk('B', 50, 50, { incarnation: 2 })],
    logs,
  });
  expect(deletable(answer)).toBe('1/1/9 1/1/10 1/2/3 1/10/2 2/1/9 2/1/11');
});

describe('A21: copies', () => {
  test('a name may go only when every record of it may', () => {
    const logs = [log(1, 1, 20), log(1, 1, 20), log(2, 5, 20), log(2, 5, 21)];
    expect(deletable(retain({ backups: [bk('B', 20)], logs }))).toBe('1/1/1');
  });
});

describe('A23: a running backup', () => {
  test('is kept, counts for nothing, and holds the log of its incarnation and ancestors', () => {
    const parts = {
      currentIncarnation: 2,
      incarnations: [inc(1), inc(2, 1, 50), inc(3, 2, 80)],
      backups: [
        bk('OK', 60, 60, { incarnation: 2, grade: 0 }),
        bk('RUN', 30, null, { finishedAt: null, grade: 6 }),
        bk('HALF', 55, 58, { finishedAt: null, incarnation: 2 }),
      ],
    };
    const answer = retain(parts, { redundancy: 1, orphanDays: 1 });
    expect(kept(answer)).toBe('OK RUN HALF');
    expect(reasons(answer, 'RUN')).toContain('still running');
    expect(marks(answer)).toBe('1:30 2:55 3:null');
    const withLog = retain({ ...parts, logs: [log(1, 80, 90, { incarnation: 3 })] }, { orphanDays: 1 });
    expect(marks(withLog)).toBe('1:30 2:55 3:55');
  });
});

describe('requires', () => {
  const chain = [
    bk('L0', 10, 10, on(1)),
    bk('L1', 20, 20, { ...on(2), requires: ['L0'] }),
    bk('L2', 30, 30, { ...on(3), requires: ['L1'] }),
  ];

  test('a base is never obsolete before what stands on it', () => {
    const answer = retain({ backups: [...chain, bk('OLD', 5, 5, on(1))] }, { redundancy: 1 });
    expect(kept(answer)).toBe('L0 L1 L2');
    expect(reasons(answer, 'L0')).toBe('L1 stands on it and is kept');
    expect(marks(answer)).toBe('1:10');
  });

  test('each that stands on a base is a reason of its own, once', () => {
    const diamond = [chain[0]!, chain[1]!, { ...chain[2]!, requires: ['L0', 'L1'] }];
    const answer = retain({ backups: diamond }, { redundancy: 2 });
    expect(reasons(answer, 'L0')).toBe('L2 stands on it and is kept; L1 stands on it and is kept');
  });

  test('what stands on a base that is gone does not count', () => {
    const gone = chain.map((one) => (one.label === 'L0' ? { ...one, state: 'missing' as const } : one));
    expect(kept(retain({ backups: [...gone, bk('OK', 5, 5, on(1))] }, { redundancy: 1 }))).toBe(
      'L0 L1 L2 OK',
    );
    expect(kept(retain({ backups: [...gone, bk('OK', 5, 5, on(4))] }, { redundancy: 1 }))).toBe('OK');
  });
});
