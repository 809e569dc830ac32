import { describe, expect, test } from 'vitest';
import { ClonaError } from '../../src/errors.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { readGoldenCases } from './golden.ts';

type Json = Record<string, unknown>;
interface RawCatalog extends Json {
  incarnations: Json[];
  backups: Json[];
  logs: Json[];
  onlineLogs: Json[];
}

/** The worked example after 4: four incarnations, four backups, eight logs, one online log. */
function example(): RawCatalog {
  const found = readGoldenCases().find(({ name }) => name === 'example-after-4-latest');
  return structuredClone(found!.catalog) as RawCatalog;
}

function refusal(text: string): ClonaError {
  try {
    parseCatalog(text);
  } catch (error) {
    if (error instanceof ClonaError) return error;
  }
  throw new Error('it was taken');
}

function spoil(change: (catalog: RawCatalog) => unknown): string {
  const catalog = example();
  change(catalog);
  const error = refusal(JSON.stringify(catalog));
  expect(error.exitCode).toBe(2);
  expect(error.code).toBe('CLONA-0201');
  expect(error.message.startsWith(String(error.details?.['path']))).toBe(true);
  return error.message;
}

test('a catalog is read, positions as numbers without loss, times as they stand', () => {
  const raw = example();
  raw.logs[7]!['next'] = '18446744073709551615';
  raw.backups[0]!['startedAt'] = '2017-03-08T10:58:00Z';
  const catalog = parseCatalog(JSON.stringify(raw));
  expect(catalog.logs[7]!.next).toBe(2n ** 64n - 1n);
  expect(catalog.backups[0]).toMatchObject({
    label: 'B1',
    start: 100n,
    startedAt: '2017-03-08T10:58:00Z',
    finishedAt: '2017-03-08T11:00:00Z',
  });
  expect(catalog.onlineLogs).toEqual([
    {
      incarnation: 4,
      thread: 1,
      first: 380n,
      end: 412n,
      firstTime: '2017-03-08T17:52:00Z',
      endTime: '2017-03-08T18:07:12Z',
    },
  ]);
});

test('a byte order mark and unknown fields are passed over; what may be absent may be absent', () => {
  const raw = example();
  raw['comment'] = 'x';
  delete (raw as Json)['onlineLogs'];
  for (const field of ['device', 'bytes', 'grade', 'startedAt']) delete raw.backups[0]![field];
  delete raw.logs[0]!['firstTime'];
  delete raw.incarnations[0]!['openedAt'];
  const catalog = parseCatalog(`\uFEFF${JSON.stringify(raw)}`);
  expect(catalog.onlineLogs).toEqual([]);
  expect(catalog.backups[0]).toMatchObject({ device: null, bytes: null, grade: null, startedAt: null });
  expect(catalog.logs[0]!.firstTime).toBe(null);
  expect(catalog.incarnations[0]!.openedAt).toBe(null);
});

test('the optional fields are read', () => {
  const raw = example();
  raw.backups[1]!['requires'] = ['B1'];
  raw.backups[1]!['consistent'] = false;
  raw['changesWithoutRedo'] = [
    { incarnation: 2, position: '260', object: 'ERP.STAGE', how: 'NOLOGGING' },
    { incarnation: 2, position: null, object: 'erp.cache', how: 'UNLOGGED' },
  ];
  const catalog = parseCatalog(JSON.stringify(raw));
  expect(catalog.backups[1]).toMatchObject({ requires: ['B1'], consistent: false });
  expect(catalog.backups[0]).not.toHaveProperty('requires');
  expect(catalog.changesWithoutRedo).toEqual([
    { incarnation: 2, position: 260n, object: 'ERP.STAGE', how: 'NOLOGGING' },
    { incarnation: 2, position: null, object: 'erp.cache', how: 'UNLOGGED' },
  ]);
});

test('an export may be without a start', () => {
  const raw = example();
  Object.assign(raw.backups[0]!, { kind: 'export', start: null });
  Object.assign(raw.backups[1]!, { kind: 'export' });
  delete raw.backups[1]!['start'];
  expect(
    parseCatalog(JSON.stringify(raw))
      .backups.slice(0, 2)
      .map(({ start }) => start),
  ).toEqual([null, null]);
});

describe('a wrong field is named by its path', () => {
  test.for<[string, (catalog: RawCatalog) => unknown, string]>([
    ['engine', (c) => (c['engine'] = 'db2'), 'engine: one of oracle, postgres is needed here, found "db2"'],
    ['database', (c) => (c['database'] = ''), 'database: a text is needed here, found ""'],
    [
      'current',
      (c) => (c['currentIncarnation'] = '4'),
      'currentIncarnation: a whole number from 1 is needed here, found "4"',
    ],
    [
      'current unknown',
      (c) => (c['currentIncarnation'] = 9),
      'currentIncarnation: there is no incarnation 9',
    ],
    ['no list', (c) => delete (c as Json)['logs'], 'logs: a list is needed here, found nothing'],
    [
      'no incarnations',
      (c) => delete (c as Json)['incarnations'],
      'incarnations: a list is needed here, found nothing',
    ],
    ['empty incarnations', (c) => (c.incarnations = []), 'incarnations: there is no incarnation at all'],
    [
      'online no list',
      (c) => Object.assign(c, { onlineLogs: {} }),
      'onlineLogs: a list is needed here, found {}',
    ],
    [
      'null record',
      (c) => Object.assign(c.logs, { 3: null }),
      'logs[3]: an object is needed here, found null',
    ],
    [
      'list record',
      (c) => Object.assign(c.backups, { 1: [] }),
      'backups[1]: an object is needed here, found []',
    ],
    [
      'id',
      (c) => (c.incarnations[1]!['id'] = 0),
      'incarnations[1].id: a whole number from 1 is needed here, found 0',
    ],
    ['id twice', (c) => (c.incarnations[3]!['id'] = 2), 'incarnations[3].id: incarnation 2 is listed twice'],
    [
      'parent',
      (c) => (c.incarnations[1]!['parent'] = 8),
      'incarnations[1].parent: there is no incarnation 8',
    ],
    [
      'parent absent',
      (c) => delete c.incarnations[1]!['parent'],
      'incarnations[1].parent: a whole number from 1 is needed here, found nothing',
    ],
    [
      'circle',
      (c) => (c.incarnations[0]!['parent'] = 4),
      'incarnations[0].parent: goes in a circle through 1',
    ],
    [
      'own parent',
      (c) => (c.incarnations[0]!['parent'] = 1),
      'incarnations[0].parent: goes in a circle through 1',
    ],
    [
      'branch outside',
      (c) => (c.incarnations[2]!['branchPosition'] = '199'),
      'incarnations[2].branchPosition: 199 lies outside the parent: incarnation 2 begins at 200',
    ],
    [
      'branch not rising',
      (c) => (c.incarnations[2]!['branchPosition'] = '200'),
      'incarnations[2].branchPosition: 200 lies outside the parent: incarnation 2 begins at 200',
    ],
    [
      'branch a number',
      (c) => (c.incarnations[2]!['branchPosition'] = 400),
      'incarnations[2].branchPosition: 400 is not a position',
    ],
    [
      'openedAt',
      (c) => (c.incarnations[0]!['openedAt'] = '2017-03-08T10:00:36'),
      'incarnations[0].openedAt: "2017-03-08T10:00:36" is not a time with an offset',
    ],
    ['label twice', (c) => (c.backups[2]!['label'] = 'B1'), 'backups[2].label: the label "B1" is used twice'],
    ['label', (c) => (c.backups[2]!['label'] = 7), 'backups[2].label: a text is needed here, found 7'],
    [
      'kind',
      (c) => (c.backups[2]!['kind'] = 'warm'),
      'backups[2].kind: one of hot, managed, quiesced, cold, export is needed here, found "warm"',
    ],
    ['start', (c) => (c.backups[2]!['start'] = null), 'backups[2].start: null is not a position'],
    [
      'consistentFrom',
      (c) => delete c.backups[2]!['consistentFrom'],
      'backups[2].consistentFrom: nothing is not a position',
    ],
    [
      'consistentFrom below',
      (c) => (c.backups[2]!['consistentFrom'] = '499'),
      'backups[2].consistentFrom: 499 is below start, 500',
    ],
    [
      'startedAt',
      (c) => (c.backups[2]!['startedAt'] = 'noon'),
      'backups[2].startedAt: "noon" is not a time with an offset',
    ],
    [
      'finishedAt',
      (c) => delete c.backups[2]!['finishedAt'],
      'backups[2].finishedAt: a time, or null for a running backup, is needed here, found nothing',
    ],
    [
      'state',
      (c) => (c.backups[2]!['state'] = 'AVAILABLE'),
      'backups[2].state: one of available, missing, damaged, expired is needed here, found "AVAILABLE"',
    ],
    [
      'ownLog',
      (c) => (c.backups[2]!['ownLog'] = 'no'),
      'backups[2].ownLog: true or false is needed here, found "no"',
    ],
    [
      'pinned',
      (c) => delete c.backups[2]!['pinned'],
      'backups[2].pinned: true or false is needed here, found nothing',
    ],
    ['grade', (c) => (c.backups[2]!['grade'] = 7), 'backups[2].grade: a grade is 0 to 6, found 7'],
    [
      'grade half',
      (c) => (c.backups[2]!['grade'] = 1.5),
      'backups[2].grade: a whole number from 0 is needed here, found 1.5',
    ],
    [
      'bytes',
      (c) => (c.backups[2]!['bytes'] = -1),
      'backups[2].bytes: a whole number from 0 is needed here, found -1',
    ],
    [
      'device',
      (c) => (c.backups[2]!['device'] = 5),
      'backups[2].device: a text or null is needed here, found 5',
    ],
    [
      'incarnation',
      (c) => (c.backups[2]!['incarnation'] = 5),
      'backups[2].incarnation: there is no incarnation 5',
    ],
    [
      'requires',
      (c) => (c.backups[2]!['requires'] = 'B1'),
      'backups[2].requires: a list of labels is needed here, found "B1"',
    ],
    [
      'requires numbers',
      (c) => (c.backups[2]!['requires'] = ['B1', 1]),
      'backups[2].requires: a list of labels is needed here, found ["B1",1]',
    ],
    [
      'requires unknown',
      (c) => (c.backups[2]!['requires'] = ['B1', 'X']),
      'backups[2].requires: there is no backup "X"',
    ],
    [
      'requires itself',
      (c) => (c.backups[2]!['requires'] = ['B3']),
      'backups[2].requires: goes in a circle through B3',
    ],
    [
      'consistent',
      (c) => (c.backups[2]!['consistent'] = 0),
      'backups[2].consistent: true or false is needed here, found 0',
    ],
    ['first = next', (c) => (c.logs[5]!['next'] = '400'), 'logs[5].next: 400 is not above first, 400'],
    ['first > next', (c) => (c.logs[5]!['next'] = '399'), 'logs[5].next: 399 is not above first, 400'],
    [
      '2^64',
      (c) => (c.logs[5]!['next'] = '18446744073709551616'),
      'logs[5].next: "18446744073709551616" is not a position',
    ],
    ['leading zero', (c) => (c.logs[5]!['first'] = '0400'), 'logs[5].first: "0400" is not a position'],
    ['negative', (c) => (c.logs[5]!['first'] = '-4'), 'logs[5].first: "-4" is not a position'],
    [
      'huge',
      (c) => (c.logs[5]!['first'] = '9'.repeat(99)),
      `logs[5].first: "${'9'.repeat(36)}... is not a position`,
    ],
    [
      'just short enough to be shown whole',
      (c) => (c.logs[5]!['first'] = '9'.repeat(38)),
      `logs[5].first: "${'9'.repeat(38)}" is not a position`,
    ],
    [
      'log time',
      (c) => (c.logs[5]!['nextTime'] = 'noon'),
      'logs[5].nextTime: "noon" is not a time with an offset',
    ],
    [
      'log incarnation',
      (c) => (c.logs[5]!['incarnation'] = 6),
      'logs[5].incarnation: there is no incarnation 6',
    ],
    [
      'sequence',
      (c) => (c.logs[5]!['sequence'] = 2 ** 53),
      'logs[5].sequence: a whole number from 0 is needed here, found 9007199254740992',
    ],
    ['online end', (c) => (c.onlineLogs[0]!['end'] = '379'), 'onlineLogs[0].end: 379 is below first, 380'],
    [
      'online incarnation',
      (c) => (c.onlineLogs[0]!['incarnation'] = 6),
      'onlineLogs[0].incarnation: there is no incarnation 6',
    ],
    [
      'change',
      (c) => (c['changesWithoutRedo'] = [{ incarnation: 4, position: null, object: 'x', how: 'APPEND' }]),
      'changesWithoutRedo[0].how: one of NOLOGGING, UNLOGGED, wal_level minimal is needed here, found "APPEND"',
    ],
    [
      'change incarnation',
      (c) => (c['changesWithoutRedo'] = [{ incarnation: 6, position: null, object: 'x', how: 'UNLOGGED' }]),
      'changesWithoutRedo[0].incarnation: there is no incarnation 6',
    ],
    [
      'a thread at rest in an unknown incarnation',
      (c) => (c['idleThreads'] = [{ incarnation: 6, thread: 2, from: '5', to: null }]),
      'idleThreads[0].incarnation: there is no incarnation 6',
    ],
    [
      'a thread that rests for nothing',
      (c) => (c['idleThreads'] = [{ incarnation: 1, thread: 2, from: '5', to: '5' }]),
      'idleThreads[0].to: 5 is not above from, 5',
    ],
    [
      'a thread at rest from nowhere',
      (c) => (c['idleThreads'] = [{ incarnation: 1, thread: 2, from: null, to: '5' }]),
      'idleThreads[0].from: null is not a position',
    ],
    [
      'a thread at rest without a thread',
      (c) => (c['idleThreads'] = [{ incarnation: 1, from: '1', to: '5' }]),
      'idleThreads[0].thread: a whole number from 0 is needed here, found nothing',
    ],
  ])('%s', ([, change, said]) => {
    expect(spoil(change)).toBe(said);
  });
});

test.for([
  ['first', 'a position is a decimal number from 0 to 18446744073709551615, as a string'],
  ['firstTime', 'write a time with its offset: 2017-03-08T17:52:00Z or 2017-03-08T19:52:00+02:00'],
] as const)('with a wrong %s comes how to write one', ([field, hint]) => {
  const raw = example();
  raw.logs[5]![field] = 'x';
  expect(refusal(JSON.stringify(raw)).hint).toBe(hint);
});

test('a longer circle of incarnations and of requires is named', () => {
  expect(
    spoil((c) => {
      c.incarnations[0]!['parent'] = 3;
    }),
  ).toContain('goes in a circle');
  expect(
    spoil((c) => {
      c.backups[0]!['requires'] = ['B2', 'B3'];
      c.backups[2]!['requires'] = ['B3M'];
      c.backups[3]!['requires'] = ['B1'];
    }),
  ).toContain('requires: goes in a circle');
});

test('an export is no stretch of log: its start may lie anywhere', () => {
  const raw = example();
  Object.assign(raw.backups[0]!, { kind: 'export', start: '500', consistentFrom: '100' });
  expect(parseCatalog(JSON.stringify(raw)).backups[0]).toMatchObject({ start: 500n, consistentFrom: 100n });
});

test('a diamond of requires is no circle', () => {
  const raw = example();
  raw.backups[0]!['requires'] = ['B2', 'B3'];
  raw.backups[1]!['requires'] = ['B3M'];
  raw.backups[2]!['requires'] = ['B3M', 'B2'];
  expect(parseCatalog(JSON.stringify(raw)).backups).toHaveLength(4);
});

test('a chain of 10,000 incarnations is walked without recursion', () => {
  const raw = example();
  raw.incarnations = Array.from({ length: 10_000 }, (_, index) => ({
    id: index + 1,
    parent: index === 0 ? null : index,
    branchPosition: String(index + 1),
    openedAt: null,
  }));
  raw.incarnations.reverse();
  expect(parseCatalog(JSON.stringify(raw)).incarnations).toHaveLength(10_000);
});

describe('what is no JSON is named by line and column', () => {
  test.for([
    ['', 'line 1, column 1'],
    ['{"engine":', 'line 1, column 11'],
    ['{\n  "engine": oracle }', 'line 2, column 13'],
    ['{"a": [1, 2,, 3]}', 'line 1, column 13'],
    ['{"a": [1, 2 3]}', 'line 1, column 13'],
    ['{"a": 01}', 'line 1, column 8'],
    ['{"a": 1.}', 'line 1, column 9'],
    ['{"a": -}', 'line 1, column 8'],
    ['{"a": 1e+}', 'line 1, column 10'],
    ['{"a": "x\ny"}', 'line 1, column 9'],
    ['{"a": "\\q"}', 'line 1, column 9'],
    ['{"a": "\\u12G4"}', 'line 1, column 12'],
    ['{"a": "open', 'line 1, column 12'],
    ['{"a": tru}', 'line 1, column 10'],
    ['{"a": nulL}', 'line 1, column 10'],
    ["{'a': 1}", 'line 1, column 2'],
    ['{"a" 1}', 'line 1, column 6'],
    ['{"a": 1,}', 'line 1, column 9'],
    ['{1: 1}', 'line 1, column 2'],
    ['[1,]', 'line 1, column 4'],
    ['[1}', 'line 1, column 3'],
    ['{"a":1]', 'line 1, column 7'],
    ['[] []', 'line 1, column 4'],
    ['{"a":1}\n\n}', 'line 3, column 1'],
    ['[ ] x', 'line 1, column 5'],
    ['{ } x', 'line 1, column 5'],
    ['{\t"a":\r1 x', 'line 1, column 10'],
    ['{"a":1, "b":2 x}', 'line 1, column 15'],
    ['{:1}', 'line 1, column 2'],
    ['["\\u00e9", x]', 'line 1, column 12'],
    ['["\\u12,1]', 'line 1, column 7'],
    ['["\\,1]', 'line 1, column 4'],
  ] as const)('%o: %s', ([text, place]) => {
    const { message, details, hint } = refusal(text);
    expect(message).toBe(`the catalog is not JSON at ${place}`);
    expect(`line ${String(details?.['line'])}, column ${String(details?.['column'])}`).toBe(place);
    expect(hint).toContain('cut off');
  });
  test.for(['null', '[]', '"x"', '7'])('%s is no catalog', (text) => {
    expect(refusal(text).message).toContain('the catalog: an object is needed here');
  });
});
