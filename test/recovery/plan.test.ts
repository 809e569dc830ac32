import { describe, expect, test } from 'vitest';
import { ClonaError } from '../../src/errors.ts';
import { planToJson, type PlanAnswer } from '../../src/recovery/answer.ts';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { listIncarnations } from '../../src/recovery/incarnations.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { asPosition } from '../../src/recovery/position.ts';
import { defaultQuestion, parseUntil, type Question } from '../../src/recovery/question.ts';
import { bk, catalogOf, idle, inc, log, online, workedExample } from './build.ts';

function plan(catalog: Catalog, until = 'latest', more: Partial<Question> = {}): PlanAnswer {
  return planRecovery(catalog, { until: parseUntil(until), lost: 'database', ...more });
}

/** What the contract fixes, in one short line. */
function brief(answer: PlanAnswer): string {
  const { target, backup, logs, redoFrom, redoTo, nearest } = answer;
  if (!answer.reachable)
    return `no ${target.incarnation}@${target.until} [${nearest.below}, ${nearest.above}]`;
  const names = logs
    .map(({ incarnation, thread, sequence }) => `${incarnation}/${thread}/${sequence}`)
    .join(' ');
  const marks = [
    answer.usesOnlineLog ? 'online' : '',
    answer.resetDatabaseToIncarnation === null ? '' : `reset ${answer.resetDatabaseToIncarnation}`,
    answer.opensNewIncarnation ? 'opens' : '',
  ].filter((mark) => mark !== '');
  return `${target.incarnation}@${target.until} ${backup} ${redoFrom}-${redoTo} [${names}] ${marks.join(', ')}`.trim();
}

const reasonsOf = (answer: PlanAnswer, label: string): string[] =>
  answer.rejected.find(({ backup }) => backup === label)?.reasons ?? [];

const hour = (h: number): string => `2024-05-01T${String(h).padStart(2, '0')}:00:00Z`;

describe('the worked example', () => {
  const statuses = (current: 1 | 2 | 3 | 4): string[] =>
    listIncarnations(workedExample(current)).map(({ status }) => status);

  test('statuses before any reset and after 2, 3 and 4', () => {
    expect(statuses(1)).toEqual(['CURRENT']);
    expect(statuses(2)).toEqual(['PARENT', 'CURRENT']);
    expect(statuses(3)).toEqual(['PARENT', 'PARENT', 'CURRENT']);
    expect(statuses(4)).toEqual(['PARENT', 'PARENT', 'ORPHAN', 'CURRENT']);
  });

  test('prior and path after 4', () => {
    expect(listIncarnations(workedExample(4)).map(({ id, prior, path }) => [id, prior, path])).toEqual([
      [1, 0, ' -> 1'],
      [2, 1, ' -> 1 -> 2'],
      [3, 2, ' -> 1 -> 2 -> 3'],
      [4, 2, ' -> 1 -> 2 -> 4'],
    ]);
  });

  test('450 on 3 needs a backup of 2 consistent by 400 or of 3 consistent by 450, and the logs of 3', () => {
    const base = workedExample(4);
    const logs = [
      log(1, 200, 300, { incarnation: 2 }),
      log(2, 300, 400, { incarnation: 2 }),
      log(1, 400, 500, { incarnation: 3 }),
    ];
    const of2 = bk('OF2', 380, 400, { incarnation: 2 });
    const of3 = bk('OF3', 440, 450, { incarnation: 3 });
    const late2 = bk('LATE2', 380, 401, { incarnation: 2 });
    const late3 = bk('LATE3', 440, 451, { incarnation: 3 });
    const ask = (backups: Catalog['backups'], some = logs): string =>
      brief(plan({ ...base, backups, logs: some }, 'incarnation:3@450'));
    expect(ask([of2])).toBe('3@450 OF2 380-450 [2/1/2 3/1/1] reset 3, opens');
    expect(ask([of3])).toBe('3@450 OF3 440-450 [3/1/1] reset 3, opens');
    expect(ask([late2])).toBe('no 3@450 [null, null]');
    expect(ask([late3])).toBe('no 3@450 [null, 451]');
    expect(ask([of2], logs.slice(0, 2))).toBe('no 3@450 [400, null]');
  });
});

describe('A1: until a branch position or below is the state of the parent', () => {
  const chain = catalogOf({
    currentIncarnation: 9,
    incarnations: [inc(5, null, 10), inc(7, 5, 100), inc(9, 7, 200)],
    backups: [bk('B', 50, 60, { incarnation: 5 })],
    logs: [
      log(1, 40, 150, { incarnation: 5 }),
      log(1, 100, 250, { incarnation: 7 }),
      log(1, 190, 300, { incarnation: 9 }),
    ],
  });

  test.for([
    ['position:300', 9],
    ['position:201', 9],
    ['position:200', 7],
    ['position:101', 7],
    ['position:100', 5],
    ['position:60', 5],
  ] as const)('%s is the state of %i', ([until, owner]) => {
    expect(plan(chain, until).target.incarnation).toBe(owner);
  });

  test('below the root it is the root', () => {
    expect(plan(chain, 'position:3').target).toEqual({ incarnation: 5, until: 3n });
  });

  test('a log of the child may be the only holder of the tail of its parent', () => {
    const lost7 = {
      ...chain,
      logs: chain.logs.map((one) => (one.incarnation === 7 ? { ...one, next: asPosition(190n) } : one)),
    };
    expect(brief(plan(lost7, 'position:200'))).toBe('7@200 B 50-200 [5/1/1 7/1/1 9/1/1] reset 7, opens');
  });

  test('the path of an ORPHAN asked for below its branch is still its own path', () => {
    const orphan = { ...chain, currentIncarnation: 5, logs: chain.logs.slice(1) };
    const covered = { ...orphan, logs: [log(1, 40, 100, { incarnation: 9 })] };
    expect(brief(plan(covered, 'incarnation:9@90'))).toBe('5@90 B 50-90 [9/1/1] opens');
    expect(plan(covered, 'position:90').reachable).toBe(false);
  });
});

describe('A2: the reset', () => {
  test('names a PARENT too, and nothing when the target is CURRENT', () => {
    const two = catalogOf({
      currentIncarnation: 2,
      incarnations: [inc(1), inc(2, 1, 100)],
      backups: [bk('B', 10)],
      logs: [log(1, 1, 100), log(1, 100, 200, { incarnation: 2 })],
    });
    expect(plan(two, 'position:100').resetDatabaseToIncarnation).toBe(1);
    expect(plan(two, 'position:101').resetDatabaseToIncarnation).toBe(null);
  });
});

describe('A3: latest and the end of the log', () => {
  const one = catalogOf({ backups: [bk('B', 10)], logs: [log(1, 1, 50)], onlineLogs: [online(50, 80)] });

  test('the end of the online log keeps the incarnation open', () => {
    expect(brief(plan(one))).toBe('1@80 B 10-80 [1/1/1] online');
    expect(brief(plan(one, 'position:80'))).toBe('1@80 B 10-80 [1/1/1] online');
    expect(brief(plan(one, 'position:79'))).toBe('1@79 B 10-79 [1/1/1] online, opens');
  });

  test('without an online log, with it lost, or on PostgreSQL a new incarnation opens', () => {
    expect(plan({ ...one, onlineLogs: [] }).opensNewIncarnation).toBe(true);
    expect(plan(one, 'latest', { lost: 'online-log' }).opensNewIncarnation).toBe(true);
    expect(plan({ ...one, engine: 'postgres' }).opensNewIncarnation).toBe(true);
  });

  test('a log of CURRENT that ends later, in any state, means that recovery stops before the end', () => {
    const gap = { ...one, logs: [...one.logs, log(9, 70, 81, { state: 'missing' as const })] };
    expect(brief(plan(gap))).toBe('1@80 B 10-80 [1/1/1] online, opens');
  });

  test('a log of CURRENT that ends where the online log ends is applied with it', () => {
    const both = { ...one, logs: [...one.logs, log(2, 50, 80)] };
    expect(brief(plan(both))).toBe('1@80 B 10-80 [1/1/1 1/1/2]');
  });

  test('an online log of one thread that ends later means that recovery stops before the end', () => {
    const two = {
      ...one,
      logs: [log(1, 1, 50), log(1, 1, 50, { thread: 2 })],
      onlineLogs: [online(50, 80), online(50, 70, { thread: 2 })],
    };
    expect(brief(plan(two))).toBe('1@70 B 10-70 [1/1/1 1/2/1] online, opens');
  });

  test('an online log that another incarnation left behind keeps nothing open', () => {
    const left = catalogOf({
      currentIncarnation: 2,
      incarnations: [inc(1), inc(2, 1, 60)],
      backups: [bk('B', 10)],
      logs: [log(1, 1, 60), log(1, 60, 90, { incarnation: 2 })],
      onlineLogs: [online(60, 80)],
    });
    expect(brief(plan(left))).toBe('2@90 B 10-90 [1/1/1 2/1/1] opens');
  });

  test('of several threads the lowest end is the latest', () => {
    const two = { ...one, logs: [log(1, 1, 90), log(1, 1, 70, { thread: 2 })], onlineLogs: [] };
    expect(brief(plan(two))).toBe('1@70 B 10-70 [1/1/1 1/2/1] opens');
  });

  describe('a thread that was disabled', () => {
    const second = { thread: 2 };
    const logs = [log(1, 1, 90), log(1, 1, 50, second), log(2, 70, 90, second)];
    const both = { ...one, logs, onlineLogs: [] };

    test.each<[string, Partial<Catalog>, string]>([
      ['counts as a gap where nobody says so', {}, '1@50 B 10-50 [1/1/1 1/2/1] opens'],
      ['is not missed there', { idleThreads: [idle(50, 70)] }, '1@90 B 10-90 [1/1/1 1/2/1 1/2/2] opens'],
      ['is missed behind it', { idleThreads: [idle(50, 69)] }, '1@69 B 10-69 [1/1/1 1/2/1] opens'],
      [
        'is not missed as another thread',
        { idleThreads: [idle(50, 70, { thread: 3 })] },
        '1@50 B 10-50 [1/1/1 1/2/1] opens',
      ],
      [
        'and still is, holds nobody up',
        { logs: logs.slice(0, 2), idleThreads: [idle(50, null)] },
        '1@90 B 10-90 [1/1/1 1/2/1] opens',
      ],
      [
        'and still is, needs the online log of the other one only',
        { logs: logs.slice(0, 2), idleThreads: [idle(50, null)], onlineLogs: [online(90, 99)] },
        '1@99 B 10-99 [1/1/1 1/2/1] online',
      ],
      [
        'on an abandoned branch says nothing of this one',
        {
          incarnations: [inc(1), inc(2, 1, 60)],
          idleThreads: [idle(50, 70, { incarnation: 2 })],
        },
        '1@50 B 10-50 [1/1/1 1/2/1] opens',
      ],
      [
        'on a PARENT is not missed up to the branch, and no further',
        {
          currentIncarnation: 2,
          incarnations: [inc(1), inc(2, 1, 60)],
          logs: [log(1, 1, 60), log(1, 60, 90, { incarnation: 2 }), log(1, 1, 50, second)],
          idleThreads: [idle(50, 80)],
        },
        '1@60 B 10-60 [1/1/1 1/2/1] reset 1, opens',
      ],
    ])('%s', (_, more, expected) => {
      expect(brief(plan({ ...both, ...more }))).toBe(expected);
    });
  });

  test('the latest may lie on a PARENT', () => {
    const gap = catalogOf({
      currentIncarnation: 2,
      incarnations: [inc(1), inc(2, 1, 100)],
      backups: [bk('B', 10)],
      logs: [log(1, 1, 60), log(1, 100, 200, { incarnation: 2 })],
    });
    expect(brief(plan(gap))).toBe('1@60 B 10-60 [1/1/1] reset 1, opens');
  });

  test('nothing at all: unreachable, no position, nothing near', () => {
    expect(brief(plan(catalogOf({})))).toBe('no 1@null [null, null]');
  });
});

describe('A4: every thread', () => {
  const base = catalogOf({ backups: [bk('B', 10, 20)] });

  test('a thread known only by a missing log is needed', () => {
    const logs = [log(1, 1, 100), log(1, 5, 100, { thread: 2, state: 'missing' })];
    expect(brief(plan({ ...base, logs }, 'position:50'))).toBe('no 1@50 [null, null]');
  });

  test('a thread whose first position lies at or above the target is not needed', () => {
    const logs = [log(1, 1, 100), log(1, 50, 100, { thread: 2 })];
    expect(brief(plan({ ...base, logs }, 'position:50'))).toBe('1@50 B 10-50 [1/1/1] opens');
    expect(brief(plan({ ...base, logs }, 'position:51'))).toBe('no 1@51 [50, null]');
  });

  test('a lost online log still makes its thread known', () => {
    const logs = [log(1, 1, 100)];
    const onlineLogs = [online(30, 60, { thread: 2 })];
    expect(plan({ ...base, logs, onlineLogs }, 'position:31', { lost: 'online-log' }).reachable).toBe(false);
    expect(plan({ ...base, logs, onlineLogs }, 'position:30', { lost: 'online-log' }).reachable).toBe(true);
  });

  test('a thread that lies wholly behind the cut is unknown', () => {
    const branched = catalogOf({
      currentIncarnation: 2,
      incarnations: [inc(1), inc(2, 1, 40)],
      backups: [bk('B', 10, 20)],
      logs: [log(1, 1, 40), log(1, 40, 90, { thread: 2 }), log(1, 40, 90, { incarnation: 2 })],
    });
    expect(brief(plan(branched, 'position:60'))).toBe('2@60 B 10-60 [1/1/1 2/1/1] opens');
  });

  test('gaps are told by thread', () => {
    const logs = [log(1, 1, 15, { thread: 2 }), log(1, 1, 12)];
    expect(reasonsOf(plan({ ...base, logs }, 'position:20'), 'B')).toEqual([
      expect.stringContaining('thread 1 has no usable log for [12, 20)'),
      expect.stringContaining('thread 2 has no usable log for [15, 20)'),
    ]);
  });

  test('without any thread nothing is covered', () => {
    expect(brief(plan(base, 'position:20'))).toBe('no 1@20 [null, null]');
    expect(reasonsOf(plan(base, 'position:20'), 'B')).toEqual([
      'no log at all is known below 20 on the path',
    ]);
  });
});

describe('A5: the online log', () => {
  test('of another incarnation does not count', () => {
    const orphaned = catalogOf({
      currentIncarnation: 2,
      incarnations: [inc(1), inc(2, 1, 100)],
      backups: [bk('B', 10)],
      logs: [log(1, 1, 60)],
      onlineLogs: [online(60, 100)],
    });
    expect(brief(plan(orphaned))).toBe('1@60 B 10-60 [1/1/1] reset 1, opens');
  });

  test('of CURRENT counts on the path of its descendants, up to the cut', () => {
    const child = catalogOf({
      incarnations: [inc(1), inc(2, 1, 80)],
      backups: [bk('B', 10)],
      logs: [log(1, 1, 60), log(1, 80, 95, { incarnation: 2 })],
      onlineLogs: [online(60, 100)],
    });
    expect(brief(plan(child, 'incarnation:2'))).toBe('2@95 B 10-95 [1/1/1 2/1/1] online, reset 2, opens');
  });
});

describe('A6: what is lost', () => {
  const one = catalogOf({
    backups: [bk('B', 10, 20), bk('Q', 30)],
    logs: [log(1, 1, 50)],
    onlineLogs: [online(50, 80)],
  });

  test.for([
    ['database', '1@80 Q 30-80 [1/1/1] online'],
    ['online-log', '1@50 Q 30-50 [1/1/1] opens'],
    ['all-logs', '1@30 Q 30-30 [] opens'],
    ['everything', '1@30 Q 30-30 [] opens'],
  ] as const)('%s', ([lost, expected]) => {
    expect(brief(plan(one, 'latest', { lost }))).toBe(expected);
  });

  test('what is lost is told in positions', () => {
    expect(plan(one, 'latest', { lost: 'online-log' }).loss.positions).toBe(30n);
    expect(plan(one, 'latest').loss.positions).toBe(0n);
  });

  test('what is lost is told in time', () => {
    const timed = {
      ...one,
      onlineLogs: [
        online(50, 80, { firstTime: '2024-05-01T10:00:00Z', endTime: '2024-05-01T13:00:00+02:00' }),
      ],
    };
    expect(plan(timed, 'latest', { lost: 'online-log' }).loss).toEqual({
      positions: 30n,
      from: '2024-05-01T10:00:00Z',
      to: '2024-05-01T11:00:00Z',
    });
    expect(plan(timed, 'position:60').loss.from).toBe('2024-05-01T10:20:00Z');
  });

  test.for<[string, Partial<Catalog>, string, PlanAnswer['loss']]>([
    [
      'nothing is lost at the very end, timed or not',
      { logs: [log(1, 1, 50, { firstTime: hour(0), nextTime: hour(5) })] },
      'latest',
      { positions: 0n, from: null, to: null },
    ],
    [
      'nothing is lost by a backup that is newer than all that is known of the log',
      { backups: [bk('Q', 90)], logs: [log(1, 1, 50, { firstTime: hour(0), nextTime: hour(5) })] },
      'latest',
      { positions: 0n, from: null, to: null },
    ],
    [
      'the log that reaches furthest counts, wherever it is listed',
      { logs: [log(2, 30, 50, { firstTime: hour(3), nextTime: hour(5) }), log(1, 1, 30)] },
      'position:40',
      { positions: 10n, from: hour(4), to: hour(5) },
    ],
    [
      'without times there are positions only',
      { logs: [log(1, 1, 50)] },
      'position:40',
      { positions: 10n, from: null, to: null },
    ],
    [
      'a time needs both ends of its log: no beginning',
      { logs: [log(1, 1, 50, { nextTime: hour(5) })] },
      'position:40',
      { positions: 10n, from: null, to: hour(5) },
    ],
    [
      'a time needs both ends of its log: no end',
      { logs: [log(1, 1, 50, { firstTime: hour(0) })] },
      'position:40',
      { positions: 10n, from: null, to: null },
    ],
    [
      'it begins where a log ends, though none begins there',
      {
        logs: [
          log(1, 1, 50, { firstTime: hour(0), nextTime: hour(5) }),
          log(3, 60, 70, { firstTime: hour(7), nextTime: hour(8) }),
        ],
      },
      'latest',
      { positions: 20n, from: hour(5), to: hour(8) },
    ],
    [
      'a log that is cut ends at the time of the cut',
      {
        currentIncarnation: 2,
        incarnations: [inc(1), inc(2, 1, 41)],
        logs: [log(1, 1, 51, { firstTime: hour(0), nextTime: hour(5) })],
      },
      'position:31',
      { positions: 10n, from: hour(3), to: hour(4) },
    ],
  ])('the loss: %s', ([, parts, until, loss]) => {
    expect(plan(catalogOf({ backups: [bk('B', 10, 20)], ...parts }), until).loss).toEqual(loss);
  });

  test.for([1, -1])('a time where two incarnations overlap is told by the deeper one', (order) => {
    const logs = [
      log(1, 1, 101, { firstTime: hour(0), nextTime: hour(10) }),
      log(1, 81, 121, { incarnation: 2, firstTime: hour(16), nextTime: hour(20) }),
      log(2, 1, 101, { firstTime: hour(0), nextTime: hour(10), thread: 2 }),
    ];
    const overlap = catalogOf({
      currentIncarnation: 2,
      incarnations: [inc(1), inc(2, 1, 101)],
      backups: [bk('B', 10)],
      logs: order === 1 ? logs : logs.toReversed(),
    });
    expect(plan(overlap, 'position:91').loss).toEqual({ positions: 30n, from: hour(17), to: hour(20) });
  });

  test('only the log lost, of which nothing is known: no position, and still steps', () => {
    const answer = plan(catalogOf({}), 'latest', { lost: 'online-log', logOnly: 'cleanly' });
    expect(answer).toMatchObject({
      reachable: true,
      target: { incarnation: 1, until: null },
      nearest: { below: null, above: null },
    });
  });

  test('only the log lost, but an earlier position wanted: a restore', () => {
    const answer = plan(one, 'position:40', { lost: 'online-log', logOnly: 'cleanly' });
    expect(brief(answer)).toBe('1@40 Q 30-40 [1/1/1] opens');
  });

  test('only the log lost, closed cleanly: steps, nothing restored, nothing lost', () => {
    const answer = plan(one, 'latest', { lost: 'online-log', logOnly: 'cleanly' });
    expect(brief(answer)).toBe('1@80 null null-null [] opens');
    expect(answer.loss.positions).toBe(0n);
    expect(answer.steps.join('\n')).toContain('OPEN RESETLOGS');
    expect(answer.steps.at(-1)).toContain('backup at once');
  });

  test('only the log lost after a crash is answered as online-log', () => {
    const answer = plan(one, 'latest', { lost: 'online-log', logOnly: 'crashed' });
    expect(brief(answer)).toBe(brief(plan(one, 'latest', { lost: 'online-log' })));
  });

  test('the steps say that a backup control file always opens RESETLOGS', () => {
    expect(plan(one).steps.join('\n')).toContain('with a backup control file Oracle opens RESETLOGS');
  });
});

describe('A7 and A8: the logs of a plan', () => {
  const base = catalogOf({
    backups: [bk('B', 10, 20)],
    logs: [
      log(1, 1, 10),
      log(2, 10, 40),
      log(3, 40, 60),
      log(3, 40, 60),
      log(4, 60, 90),
      log(5, 50, 70, { state: 'damaged' }),
    ],
    onlineLogs: [online(55, 95)],
  });

  test('are those that hold a position of [low, p), each once', () => {
    expect(brief(plan(base, 'position:60'))).toBe('1@60 B 10-60 [1/1/2 1/1/3] opens');
  });

  test('the online log is used only where the archived logs alone leave a gap', () => {
    expect(plan(base, 'position:90').usesOnlineLog).toBe(false);
    expect(plan(base, 'position:91').usesOnlineLog).toBe(true);
  });

  test('begin at consistentFrom where the backup carries its own log', () => {
    const own = { ...base, backups: [bk('OWN', 5, 45, { ownLog: true })] };
    expect(brief(plan(own, 'position:60'))).toBe('1@60 OWN 5-60 [1/1/3] opens');
    expect(brief(plan(own, 'position:45'))).toBe('1@45 OWN 5-45 [] opens');
  });

  test('come by thread and sequence, whatever their order in the catalog', () => {
    const odd = {
      ...base,
      logs: [
        log(12, 50, 60),
        log(9, 10, 50),
        log(3, 10, 70, { thread: 2 }),
        log(12, 50, 60),
        log(9, 10, 50),
        log(11, 10, 20, { thread: 2 }),
      ],
    };
    expect(brief(plan(odd, 'position:60'))).toBe('1@60 B 10-60 [1/1/9 1/1/12 1/2/3 1/2/11] opens');
  });

  test('come in the order of the path, whatever the numbers of the incarnations', () => {
    const odd = catalogOf({
      currentIncarnation: 2,
      incarnations: [inc(9), inc(2, 9, 30)],
      backups: [bk('B', 10, 20, { incarnation: 9 })],
      logs: [log(1, 30, 60, { incarnation: 2 }), log(2, 1, 30, { incarnation: 9 })],
    });
    expect(brief(plan(odd))).toBe('2@60 B 10-60 [9/1/2 2/1/1] opens');
  });
});

describe('A9: the choice', () => {
  const logs = [log(1, 1, 100)];
  const chosen = (...backups: Catalog['backups']): string | null =>
    plan(catalogOf({ backups, logs }), 'position:90').backup;

  test('least redo before all else', () => {
    expect(chosen(bk('A', 50, 60, { grade: 6 }), bk('B', 51, 80, { grade: null }))).toBe('B');
  });
  test('then the better verified, null below 0', () => {
    expect(chosen(bk('A', 50, 60, { grade: null }), bk('B', 50, 60, { grade: 0 }))).toBe('B');
  });
  test('then the newer as an instant, whatever the offset', () => {
    const earlier = bk('A', 50, 60, { finishedAt: '2024-05-01T12:00:00+05:00' });
    const later = bk('B', 50, 60, { finishedAt: '2024-05-01T08:00:00Z' });
    expect(chosen(earlier, later)).toBe('B');
  });
  test('then the lower label by code unit', () => {
    expect(chosen(bk('a', 50), bk('Z', 50), bk('B9', 50), bk('B10', 50))).toBe('B10');
  });
  test('every other that serves is rejected with its reason', () => {
    const backups = [
      bk('A', 50, 60),
      bk('B', 50, 60, { grade: 2 }),
      bk('C', 40, 60),
      bk('D', 50, 60, { grade: 2, finishedAt: '2024-04-30T00:00:00Z' }),
      bk('E', 50, 60, { grade: 2 }),
    ];
    const answer = plan(catalogOf({ backups, logs }), 'position:90');
    expect(answer.backup).toBe('B');
    expect(reasonsOf(answer, 'A')[0]).toContain('verified less');
    expect(reasonsOf(answer, 'C')[0]).toContain('more redo: 50 positions, B only 40');
    expect(reasonsOf(answer, 'D')[0]).toContain('older');
    expect(reasonsOf(answer, 'E')[0]).toContain('lower label');
  });
});

describe('A10: own log and quiesced', () => {
  test('the numbers decide, not the kind', () => {
    const hot = catalogOf({ backups: [bk('HOT', 40, 40, { kind: 'hot' })] });
    expect(brief(plan(hot, 'latest', { lost: 'everything' }))).toBe('1@40 HOT 40-40 [] opens');
    const cold = catalogOf({ backups: [bk('COLD', 40, 41, { kind: 'cold' })] });
    expect(plan(cold, 'latest').reachable).toBe(false);
  });

  test('a backup whose start is unknown never serves, even with its own log', () => {
    const unknown = catalogOf({ backups: [bk('OWN', 40, 50, { ownLog: true, start: null })] });
    expect(plan(unknown, 'position:50').reachable).toBe(false);
  });

  test('with its own log redo begins at start even if no log is needed', () => {
    const own = catalogOf({ backups: [bk('OWN', 40, 50, { ownLog: true })] });
    expect(brief(plan(own, 'latest'))).toBe('1@50 OWN 40-50 [] opens');
  });
});

describe('A11 and A12: exports and a backup by name', () => {
  const both = catalogOf({
    currentIncarnation: 2,
    incarnations: [inc(1), inc(2, 1, 100)],
    backups: [
      bk('EXP', 50, 50, { kind: 'export', consistent: false }),
      bk('B', 50, 60),
      bk('SAME', 120, 120, { incarnation: 2 }),
      bk('RUN', 70, null),
    ],
    logs: [log(1, 1, 100), log(1, 100, 200, { incarnation: 2 })],
  });

  test('an export never serves a position, but by its name', () => {
    expect(plan(both, 'position:50').reachable).toBe(false);
    const answer = plan(both, 'backup:EXP');
    expect(brief(answer)).toBe('1@50 EXP null-null []');
    expect(answer.warnings.join()).toContain('without a consistent position');
    expect(reasonsOf(plan(both), 'EXP')[0]).toContain('--until backup:EXP');
  });

  test('an export keeps its own incarnation even at a branch position', () => {
    const at100 = { ...both, backups: [bk('EXP', 100, 100, { kind: 'export', incarnation: 2 })] };
    expect(plan(at100, 'backup:EXP').target).toEqual({ incarnation: 2, until: 100n });
  });

  test.for<[Partial<Catalog['backups'][number]>, string]>([
    [{ state: 'missing' }, 'it is missing'],
    [{ finishedAt: null }, 'it is still running, or was never finished'],
    [{ consistentFrom: null }, 'it is still running, or was never finished'],
  ])('an export that is %o is unreachable', ([change, reason]) => {
    const answer = plan(
      { ...both, backups: [bk('EXP', 50, 50, { kind: 'export', ...change })] },
      'backup:EXP',
    );
    expect(answer).toMatchObject({ reachable: false, nearest: { below: null, above: null } });
    expect(reasonsOf(answer, 'EXP')).toEqual([reason]);
  });

  test('a backup by name is restored to its own consistentFrom on its own incarnation', () => {
    expect(brief(plan(both, 'backup:B'))).toBe('1@60 B 50-60 [1/1/1] reset 1, opens');
    expect(brief(plan(both, 'backup:SAME'))).toBe('2@120 SAME 120-120 [] opens');
    expect(brief(plan(both, 'backup:RUN'))).toBe('no 1@null [null, null]');
  });
});

describe('A13: a time', () => {
  const timed = catalogOf({
    currentIncarnation: 2,
    incarnations: [inc(1), inc(2, 1, 150)],
    backups: [bk('B', 10)],
    logs: [
      log(1, 1, 100, { firstTime: hour(1), nextTime: hour(10) }),
      log(2, 100, 200, { firstTime: hour(10), nextTime: hour(20), state: 'missing' }),
      log(1, 140, 240, { incarnation: 2, firstTime: hour(12), nextTime: hour(22), state: 'available' }),
    ],
    onlineLogs: [online(240, 250, { incarnation: 2, firstTime: hour(22), endTime: hour(23) })],
  });
  const untilOf = (time: string, catalog = timed): bigint | null =>
    plan(catalog, `time:${time}`).target.until;

  test('is interpolated within its log, rounded down', () => {
    expect(untilOf(hour(1))).toBe(1n);
    expect(untilOf('2024-05-01T01:59:59.999Z')).toBe(11n);
    expect(untilOf(hour(2))).toBe(12n);
  });

  test('is asked of the deepest incarnation that knows it, missing logs and the lost online log too', () => {
    expect(untilOf(hour(11))).toBe(110n);
    expect(untilOf(hour(13))).toBe(150n);
    expect(untilOf('2024-05-01T22:30:00Z')).toBe(245n);
    expect(plan(timed, 'time:2024-05-01T22:30:00Z', { lost: 'everything' }).target.until).toBe(245n);
  });

  test('never lies behind the cut of its incarnation', () => {
    const only1 = { ...timed, logs: timed.logs.slice(0, 2) };
    expect(untilOf(hour(19), only1)).toBe(150n);
  });

  test('a log without both times tells nothing', () => {
    const half = [
      log(1, 1, 101, { firstTime: hour(0), nextTime: hour(10) }),
      log(2, 1, 51, { nextTime: hour(10), thread: 2 }),
      log(3, 1, 51, { firstTime: hour(0), thread: 3 }),
    ];
    expect(untilOf(hour(5), catalogOf({ logs: half }))).toBe(51n);
  });

  test('the deepest incarnation counts, wherever its log is listed', () => {
    expect(untilOf(hour(13), { ...timed, logs: timed.logs.toReversed() })).toBe(150n);
    const later = timed.logs.map((one) => (one.incarnation === 2 ? { ...one, next: asPosition(440n) } : one));
    expect(untilOf(hour(14), { ...timed, logs: later })).toBe(200n);
    expect(untilOf(hour(14), { ...timed, logs: later.toReversed() })).toBe(200n);
  });

  test('between logs is the highest end before it', () => {
    expect(untilOf('2024-05-02T00:00:00Z')).toBe(250n);
  });

  test('of several threads takes the lowest', () => {
    const two = catalogOf({
      backups: [bk('B', 10)],
      logs: [
        log(1, 1, 101, { firstTime: hour(0), nextTime: hour(10) }),
        log(1, 1, 51, { firstTime: hour(0), nextTime: hour(10), thread: 2 }),
      ],
    });
    expect(untilOf(hour(5), two)).toBe(26n);
  });

  test('before everything is unreachable, with the lowest reachable above', () => {
    expect(brief(plan(timed, `time:${hour(0)}`))).toBe('no 2@null [null, 10]');
  });

  test('before the backup is refused, not replayed to the first commit after it', () => {
    expect(brief(plan(timed, 'time:2024-05-01T01:30:00Z'))).toBe('no 1@6 [null, 10]');
  });

  test('is exact where numbers would not be', () => {
    const large = catalogOf({
      logs: [
        {
          ...log(1, 0, 1, { firstTime: '1970-01-01T00:00:00Z', nextTime: '9999-12-31T23:59:59.999Z' }),
          next: asPosition(2n ** 64n - 1n),
        },
      ],
    });
    const span = BigInt(Date.parse('9999-12-31T23:59:59.999Z'));
    const ms = BigInt(Date.parse('2024-05-01T00:00:00.001Z'));
    expect(untilOf('2024-05-01T00:00:00.001Z', large)).toBe(((2n ** 64n - 1n) * ms) / span);
  });

  test('the plan says that it was interpolated', () => {
    expect(plan(timed, `time:${hour(2)}`).warnings.join()).toContain('interpolation');
  });
});

describe('A14 and R9: an unreachable target', () => {
  const holes = catalogOf({
    backups: [bk('A', 10, 20), bk('B', 50, 60), bk('C', 90, 95)],
    logs: [log(1, 1, 30), log(2, 45, 70), log(3, 85, 120), log(4, 70, 80, { state: 'damaged' })],
  });

  test('names the nearest below and above', () => {
    expect(brief(plan(holes, 'position:40'))).toBe('no 1@40 [30, 60]');
    expect(brief(plan(holes, 'position:5'))).toBe('no 1@5 [null, 20]');
    expect(brief(plan(holes, 'position:130'))).toBe('no 1@130 [120, null]');
  });

  test('names every reason for each backup', () => {
    const broken = {
      ...holes,
      backups: [
        ...holes.backups,
        bk('X', 50, 200, { incarnation: 2, state: 'damaged' as const, requires: ['Y'] }),
        bk('Y', 1, null),
      ],
      incarnations: [inc(1), inc(2, 1, 100)],
    };
    const answer = plan(broken, 'position:75');
    expect(reasonsOf(answer, 'X')).toEqual([
      'it is damaged',
      'it stands on Y, which is not available',
      'it belongs to incarnation 2, which is not on the path -> 1',
      'it is consistent only from 200, the target 75 is earlier',
    ]);
    expect(reasonsOf(answer, 'Y')).toEqual(['it is still running, or was never finished']);
    expect(reasonsOf(answer, 'B')).toEqual([
      'thread 1 has no usable log for [70, 75) (log 4 of incarnation 1 is damaged)',
    ]);
  });

  test('a gap is explained by the log that should fill it, wherever that is listed', () => {
    const logs = [
      log(1, 1, 30),
      log(2, 30, 40, { state: 'damaged' }),
      log(3, 40, 50),
      log(4, 50, 60, { state: 'missing' }),
      log(1, 1, 20, { thread: 2 }),
      log(2, 20, 35, { thread: 2, state: 'expired' }),
      log(3, 35, 65, { thread: 2, state: 'missing' }),
    ];
    const backups = [bk('A', 10, 20), bk('B', 45), bk('C', 60, 61), bk('D', 25, 26), bk('E', 68, 69)];
    for (const listed of [logs, logs.toReversed()]) {
      const answer = plan(catalogOf({ backups, logs: listed }), 'position:70');
      expect(answer.rejected).toEqual([
        {
          backup: 'A',
          reasons: [
            'thread 1 has no usable log for [30, 40) (log 2 of incarnation 1 is damaged)',
            'thread 2 has no usable log for [20, 70) (log 2 of incarnation 1 is expired)',
          ],
        },
        {
          backup: 'B',
          reasons: [
            'thread 1 has no usable log for [50, 70) (log 4 of incarnation 1 is missing)',
            'thread 2 has no usable log for [45, 70) (log 3 of incarnation 1 is missing)',
          ],
        },
        {
          backup: 'C',
          reasons: [
            'thread 1 has no usable log for [60, 70); without it the restored files never agree with each other',
            'thread 2 has no usable log for [60, 70) (log 3 of incarnation 1 is missing); without it the restored files never agree with each other',
          ],
        },
        {
          backup: 'D',
          reasons: [
            'thread 1 has no usable log for [30, 40) (log 2 of incarnation 1 is damaged)',
            'thread 2 has no usable log for [25, 70) (log 2 of incarnation 1 is expired); without it the restored files never agree with each other',
          ],
        },
        {
          backup: 'E',
          reasons: [
            'thread 1 has no usable log for [68, 70); without it the restored files never agree with each other',
            'thread 2 has no usable log for [68, 70); without it the restored files never agree with each other',
          ],
        },
      ]);
    }
  });

  test('a gap is explained by what is lost, not by what is there beside it', () => {
    const beside = catalogOf({
      backups: [bk('A', 45)],
      logs: [log(1, 1, 30), log(2, 30, 60, { state: 'damaged' }), log(9, 40, 50)],
    });
    expect(reasonsOf(plan(beside, 'position:70'), 'A')).toEqual([
      'thread 1 has no usable log for [50, 70) (log 2 of incarnation 1 is damaged)',
    ]);
  });

  test('a gap where the lost online log was says so', () => {
    const lost = catalogOf({ backups: [bk('A', 10)], logs: [log(1, 1, 30)], onlineLogs: [online(30, 50)] });
    const answer = plan(lost, 'position:40', { lost: 'online-log' });
    expect(reasonsOf(answer, 'A')).toEqual([
      'thread 1 has no usable log for [30, 40) (the online log is lost)',
    ]);
  });

  test('a backup that needs no log lacks none, and a thread that begins later is not missed', () => {
    const alone = catalogOf({ backups: [bk('Q', 40, 40, { state: 'missing' })] });
    expect(reasonsOf(plan(alone, 'position:40'), 'Q')).toEqual(['it is missing']);
    const later = catalogOf({
      backups: [bk('A', 10)],
      logs: [log(1, 1, 30), log(1, 40, 60, { thread: 2 }), log(1, 45, 60, { thread: 3 })],
    });
    expect(reasonsOf(plan(later, 'position:40'), 'A')).toEqual(['thread 1 has no usable log for [30, 40)']);
  });

  test('a backup that is consistent exactly at the branch was in time', () => {
    const branched = catalogOf({
      currentIncarnation: 2,
      incarnations: [inc(1), inc(2, 1, 100)],
      backups: [bk('EDGE', 90, 100, { state: 'damaged' }), bk('LATE', 90, 101)],
      logs: [log(1, 1, 100), log(1, 100, 200, { incarnation: 2 })],
    });
    const answer = plan(branched, 'position:150');
    expect(reasonsOf(answer, 'EDGE')).toEqual(['it is damaged']);
    expect(reasonsOf(answer, 'LATE')).toEqual([
      'it is consistent only from 101, after the path left incarnation 1 at 100',
    ]);
  });

  test('says that a backup without the log up to consistentFrom is useless', () => {
    const useless = catalogOf({ backups: [bk('HOT', 20, 40, { kind: 'hot' })], logs: [log(1, 1, 30)] });
    expect(reasonsOf(plan(useless, 'position:50'), 'HOT')[0]).toContain('never agree with each other');
  });

  test('an export is offered as better than nothing', () => {
    const lost = {
      ...holes,
      backups: [...holes.backups, bk('EXP', 25, 25, { kind: 'export' as const })],
      logs: [],
    };
    expect(plan(lost).steps.join('\n')).toContain('import the export EXP');
    expect(plan(catalogOf({})).steps).toHaveLength(1);
  });
});

test('whoever asks nothing asks for the latest after the loss of the database', () => {
  expect(defaultQuestion).toEqual({ until: parseUntil('latest'), lost: 'database' });
});

describe('A20: wrong questions', () => {
  const wrong = (until: string): string => {
    try {
      plan(catalogOf({ backups: [bk('B', 1)] }), until);
    } catch (error) {
      if (error instanceof ClonaError) return `${error.exitCode}`;
    }
    return 'answered';
  };
  test.for([
    'backup:NOPE',
    'backup:',
    'incarnation:7',
    'incarnation:7@1',
    'incarnation:0',
    'incarnation:1@',
    'incarnation:1@-1',
    'incarnation:1.5',
    'incarnation:',
    'position:',
    'position:-1',
    'position:+1',
    'position:1e3',
    'position:0x10',
    'position: 1',
    'position:18446744073709551616',
    'incarnation:1@18446744073709551616',
    'position',
    '',
    'newest',
    'LATEST',
    'latest:1',
    'time:2024-05-01T00:00:00',
    'time:2024-05-01',
    'time:2024-02-30T00:00:00Z',
    'time:2024-05-01T24:00:00Z',
    'time:2024-05-01T10:60:00Z',
    'time:yesterday',
    'time:',
    'time:2024-05-01T00:00:00Z ',
  ])('%o is refused with exit 2', (until) => {
    expect(wrong(until)).toBe('2');
  });
  test('the highest position is a position', () => {
    expect(plan(catalogOf({}), 'position:18446744073709551615').target.until).toBe(2n ** 64n - 1n);
  });
});

describe('A21: copies', () => {
  test('one available copy suffices', () => {
    const copies = catalogOf({
      backups: [bk('B', 10, 20)],
      logs: [log(1, 1, 50, { state: 'missing' }), log(1, 1, 50), log(1, 1, 50, { state: 'damaged' })],
    });
    expect(brief(plan(copies))).toBe('1@50 B 10-50 [1/1/1] opens');
  });
});

describe('A22: an incarnation', () => {
  const branched = catalogOf({
    currentIncarnation: 2,
    incarnations: [inc(1), inc(2, 1, 50)],
    backups: [bk('B', 10, 20)],
    logs: [log(1, 1, 90), log(1, 50, 70, { incarnation: 2 })],
  });
  test('is not cut by its children', () => {
    expect(brief(plan(branched, 'incarnation:1'))).toBe('1@90 B 10-90 [1/1/1] reset 1, opens');
    expect(brief(plan(branched, 'incarnation:2'))).toBe('2@70 B 10-70 [1/1/1 2/1/1] opens');
  });
  test('unreachable has no position and nothing near', () => {
    expect(brief(plan({ ...branched, backups: [] }, 'incarnation:1'))).toBe('no 1@null [null, null]');
  });
});

describe('A23: a running backup', () => {
  test.for([{ finishedAt: null }, { consistentFrom: null }])('never serves: %o', (change) => {
    const running = catalogOf({ backups: [bk('RUN', 10, 20, change)], logs: [log(1, 1, 90)] });
    expect(plan(running).reachable).toBe(false);
  });
});

describe('requires', () => {
  const chain = catalogOf({
    backups: [
      bk('L0', 10, 20),
      bk('L1', 30, 40, { requires: ['L0'] }),
      bk('L2', 50, 60, { requires: ['L1'] }),
    ],
    logs: [log(1, 1, 90)],
  });
  test('an incremental serves while all it stands on is available', () => {
    const answer = plan(chain);
    expect(brief(answer)).toBe('1@90 L2 50-90 [1/1/1] opens');
    expect(answer.steps.join('\n')).toContain('after what it stands on: L1');
  });
  test('a base that is gone takes with it everything above', () => {
    const broken = {
      ...chain,
      backups: chain.backups.map((one) => (one.label === 'L0' ? { ...one, state: 'expired' as const } : one)),
    };
    const answer = plan(broken);
    expect(answer.reachable).toBe(false);
    expect(reasonsOf(answer, 'L2')).toEqual(['it stands on L0, which is not available']);
  });
});

describe('what changed without redo', () => {
  test('is named when it lies on the path between the start of the backup and the target', () => {
    const how = 'NOLOGGING' as const;
    const at = (position: number | null, object: string, incarnation = 1) => ({
      incarnation,
      position: position === null ? null : asPosition(BigInt(position)),
      object,
      how,
    });
    const direct = catalogOf({
      incarnations: [inc(1), inc(2, 1, 60)],
      backups: [bk('B', 10, 20)],
      logs: [log(1, 1, 90), log(1, 60, 95, { incarnation: 2 })],
      changesWithoutRedo: [
        at(9, 'BEFORE'),
        at(10, 'FIRST'),
        at(49, 'LAST'),
        at(50, 'AFTER'),
        at(20, 'ELSEWHERE', 2),
        at(null, 'ALWAYS'),
        at(70, 'CUT'),
        at(60, 'AT-THE-CUT'),
        at(null, 'ALWAYS-ELSEWHERE', 2),
      ],
    });
    const named = (until: string): string[] =>
      plan(direct, until).changesWithoutRedo.map(({ object }) => object);
    expect(named('position:50')).toEqual(['FIRST', 'LAST', 'ALWAYS']);
    expect(named('incarnation:2@95')).toEqual([
      'FIRST',
      'LAST',
      'AFTER',
      'ELSEWHERE',
      'ALWAYS',
      'ALWAYS-ELSEWHERE',
    ]);
    expect(named('position:80')).toEqual(['FIRST', 'LAST', 'AFTER', 'ALWAYS', 'CUT', 'AT-THE-CUT']);
  });
});

test('the document of a plan spells positions as decimal text', () => {
  const catalog = catalogOf({
    backups: [bk('B', 10, 20)],
    logs: [log(1, 1, 50, { firstTime: hour(0), nextTime: hour(5) })],
    changesWithoutRedo: [
      { incarnation: 1, position: asPosition(15n), object: 'ERP.STAGE', how: 'NOLOGGING' },
      { incarnation: 1, position: null, object: 'erp.cache', how: 'UNLOGGED' },
    ],
  });
  const answer = plan(catalog, 'position:40');
  expect(planToJson(answer)).toEqual({
    ...answer,
    target: { incarnation: 1, until: '40' },
    redoFrom: '10',
    redoTo: '40',
    loss: { positions: '10', from: '2024-05-01T03:58:46.530Z', to: hour(5) },
    nearest: { below: null, above: null },
    changesWithoutRedo: [
      { incarnation: 1, position: '15', object: 'ERP.STAGE', how: 'NOLOGGING' },
      { incarnation: 1, position: null, object: 'erp.cache', how: 'UNLOGGED' },
    ],
  });
  expect(planToJson(plan(catalog, 'position:5'))).toMatchObject({ nearest: { below: null, above: '20' } });
});

describe('PostgreSQL', () => {
  const pg = catalogOf({
    engine: 'postgres',
    backups: [bk('B', 0x100_0028, 0x100_0100)],
    logs: [log(1, 0x100_0000, 0x200_0000)],
  });
  test('the end of the log is asked with no target at all', () => {
    expect(plan(pg).steps.join('\n')).toContain('no recovery target at all');
  });
  test("a backup's own end is asked with immediate", () => {
    expect(plan(pg, 'backup:B').steps.join('\n')).toContain("recovery_target = 'immediate'");
  });
  test('a position is written as an LSN, exclusive', () => {
    expect(plan(pg, 'position:25165824').steps.join('\n')).toContain(
      "recovery_target_lsn = '0/1800000', recovery_target_inclusive = off",
    );
  });
});
