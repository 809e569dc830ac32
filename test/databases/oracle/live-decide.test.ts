import { describe, expect, test } from 'vitest';
import {
  decideFlashBack,
  decideReopen,
  foretellReset,
  type LiveGuard,
} from '../../../src/databases/oracle/live/decide.ts';
import { judgeLive } from '../../../src/databases/oracle/live/judge.ts';
import { readLiveAnswer } from '../../../src/databases/oracle/live/state.ts';
import type { Catalog } from '../../../src/recovery/catalog.ts';
import { asPosition } from '../../../src/recovery/position.ts';

const guard: LiveGuard = { kind: 'flashback', name: 'G', scn: '500', resetlogs: '1', reasons: [] };

/** What SQL*Plus prints of a server in this state. */
function state(
  instance: string,
  {
    incarnations = ['1|1|0|CURRENT'],
    points = ['500|YES|1|100|G'],
    mode = 'READ WRITE',
    cluster = 'FALSE',
  } = {},
) {
  const database = instance === 'MOUNTED' ? 'MOUNTED' : mode;
  const mounted = instance === 'MOUNTED' || instance === 'OPEN';
  const lines = [
    `instance|${instance}|RESTRICTED`,
    ...(mounted ? [`database|${database}|ARCHIVELOG|NO|700`] : []),
    ...(mounted ? incarnations.map((one) => `incarnation|${one}`) : []),
    ...(mounted ? points.map((one) => `point|${one}`) : []),
    `parameter|cluster_database|${cluster}`,
    'option|TRUE',
  ];
  return readLiveAnswer(`Connected.\n${lines.map((line) => `clona|${line}`).join('\n')}\nclona|end|X\n`);
}

const back = ['1|1|0|PARENT', '2|501|1|CURRENT'];

describe('FLASHBACK DATABASE', () => {
  test.each([
    ['open after the promotion', state('OPEN'), 'go', ''],
    ['mounted', state('MOUNTED'), 'go', ''],
    ['not mounted: it says nothing yet', state('STARTED'), 'go', ''],
    ['back already', state('OPEN', { incarnations: back }), 'nothing', ''],
    ['back, and not opened', state('MOUNTED', { incarnations: back }), 'go', ''],
    ['without its restore point', state('OPEN', { points: [] }), 'refuse', 'is gone'],
    [
      'with one that somebody made anew',
      state('OPEN', { points: ['600|YES|1|1|G'] }),
      'refuse',
      'somebody made it anew',
    ],
    [
      'with one that is not guaranteed',
      state('OPEN', { points: ['500|NO|1|0|G'] }),
      'refuse',
      'not guaranteed',
    ],
    [
      'that somebody reset elsewhere',
      state('OPEN', { incarnations: ['1|1|0|PARENT', '2|300|1|PARENT', '3|900|300|CURRENT'] }),
      'refuse',
      'somebody reset it since',
    ],
    ['that is a cluster', state('OPEN', { cluster: 'TRUE' }), 'refuse', 'every other instance'],
  ])('of LIVE %s', (_, live, decided, why) => {
    const decision = decideFlashBack(live, guard);
    expect(decision.do).toBe(decided);
    expect(decision.do === 'refuse' ? decision.why : '').toContain(why);
  });
});

describe('a new incarnation after a revert', () => {
  test.each([
    ['as the snapshot has it', state('OPEN'), 'go'],
    ['mounted', state('MOUNTED'), 'go'],
    ['on its new one', state('OPEN', { incarnations: back }), 'nothing'],
    ['on its new one, and not opened', state('MOUNTED', { incarnations: back }), 'go'],
    ['of another snapshot', state('OPEN', { incarnations: ['7|4000|300|CURRENT'] }), 'refuse'],
  ])('for LIVE %s', (_, live, decided) => {
    expect(decideReopen(live, guard).do).toBe(decided);
  });
});

test.each([
  ['down', 'ERROR at line 1:\nORA-01034: ORACLE not available\n', 'down'],
  ['with a name that holds a bar', 'clona|instance|OPEN|ALLOWED\nclona|point|9|YES|1|5|a|b\n', 'open'],
])('LIVE that is %s is read', (_, text, instance) => {
  const live = readLiveAnswer(text);
  expect(live.instance).toBe(instance);
  expect(live.restorePoints.map(({ name }) => name)).toEqual(instance === 'open' ? ['a|b'] : []);
});

test('a machine that says nothing of its database is an error, not a database that is down', () => {
  expect(() => readLiveAnswer('SP2-0750: You may need to set ORACLE_HOME\n')).toThrow('SP2-0750');
});

test('what a reset does to backups and logs is foretold', () => {
  const backup = (label: string, incarnation: number, from: bigint) => ({
    label,
    incarnation,
    kind: 'managed' as const,
    start: asPosition(from - 5n),
    consistentFrom: asPosition(from),
    startedAt: null,
    finishedAt: null,
    device: null,
    state: 'available' as const,
    ownLog: false,
    grade: null,
    pinned: false,
    bytes: null,
  });
  const log = (incarnation: number, first: bigint, next: bigint) => ({
    incarnation,
    thread: 1,
    sequence: 1,
    first: asPosition(first),
    next: asPosition(next),
    firstTime: null,
    nextTime: null,
    state: 'available' as const,
  });
  const catalog: Catalog = {
    engine: 'oracle',
    database: 'ERP',
    currentIncarnation: 2,
    incarnations: [
      { id: 1, parent: null, branchPosition: asPosition(1n), openedAt: null },
      { id: 2, parent: 1, branchPosition: asPosition(200n), openedAt: null },
      { id: 3, parent: 1, branchPosition: asPosition(100n), openedAt: null },
    ],
    backups: [
      backup('OLD', 1, 150n),
      backup('ORPHAN', 3, 120n),
      backup('BEFORE', 2, 300n),
      backup('AFTER', 2, 450n),
    ],
    logs: [log(1, 100n, 200n), log(2, 200n, 380n), log(2, 380n, 460n), log(2, 460n, 500n)],
    onlineLogs: [],
  };
  const forecast = foretellReset(catalog, asPosition(200n), asPosition(400n));
  expect(forecast).toMatchObject({
    parent: 2,
    keeps: ['OLD', 'BEFORE'],
    orphaned: ['AFTER'],
    orphanedLogs: 2,
  });
  expect(forecast.sentences.join('\n')).toMatch(
    /child of 2 that begins at 400.*\n2 archived logs.*\n1 backups serve the ORPHAN only: AFTER/s,
  );
});

test.each([
  ['ORA-38760: This database instance failed to turn on flashback database', 'recoveryFailed', 6],
  ['ORA-38753: Cannot flashback data file 5; no flashback log data.', 'recoveryFailed', 6],
  ['ORA-38784: Cannot create restore point\nORA-19809: limit exceeded for recovery files', 'diskFull', 6],
  ['ORA-00439: feature not enabled: Flashback Database', 'serverUnfit', 2],
  ['ORA-01031: insufficient privileges', 'databaseLogin', 2],
  ['ORA-00600: internal error code', 'recoveryFailed', 6],
])('an error on LIVE is told in words of LIVE: %s', (text, kind, exitCode) => {
  const error = judgeLive(text, 1);
  expect(error).toMatchObject({ kind, exitCode });
  expect(`${error?.message} ${error?.hint}`).not.toContain('clone');
});
