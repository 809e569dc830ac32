import { expect, test } from 'vitest';
import { decideProof, type ProofPolicy } from '../../src/proof/due.ts';
import { currentGrade, provenAt, rememberProof, type ProofRecord } from '../../src/proof/grades.ts';
import type { Backup, Catalog } from '../../src/recovery/catalog.ts';
import type { Position } from '../../src/recovery/position.ts';

const at = (day: number, hour = 0) => new Date(Date.UTC(2026, 0, day, hour)).toISOString();
const record = (grade: number, day: number): ProofRecord => ({
  grade,
  at: at(day),
  evidence: 'e',
  detail: '',
});
const position = (value: number) => BigInt(value) as Position;

function backup(label: string, start: number, day: number, extra: Partial<Backup> = {}): Backup {
  return {
    label,
    incarnation: 1,
    kind: 'managed',
    start: position(start),
    consistentFrom: position(start + 5),
    startedAt: at(day),
    finishedAt: at(day, 1),
    device: null,
    state: 'available',
    ownLog: false,
    grade: null,
    pinned: false,
    bytes: 1,
    ...extra,
  };
}

function catalog(backups: Backup[], logs: [number, number][]): Catalog {
  return {
    engine: 'postgres',
    database: 'erp',
    currentIncarnation: 1,
    incarnations: [{ id: 1, parent: null, branchPosition: position(1), openedAt: null }],
    backups,
    logs: logs.map(([first, next], sequence) => ({
      incarnation: 1,
      thread: 1,
      sequence,
      first: position(first),
      next: position(next),
      firstTime: null,
      nextTime: null,
      state: 'available',
    })),
    onlineLogs: [],
  };
}

const hour = 3_600_000;
const policy: ProofPolicy = { minimumGrade: 5, maximumAgeMs: 26 * hour, recheckMs: 7 * 24 * hour };
const now = Date.parse(at(10, 12));

test('a higher grade includes those before it', () => {
  expect(provenAt([record(1, 1), record(4, 3)], 2)).toBe(Date.parse(at(3)));
  expect(provenAt([record(1, 1)], 2)).toBeNull();
});

test('a failure takes back its grade and all above, and keeps those below', () => {
  const left = rememberProof([record(1, 1), record(2, 1), record(5, 2)], {
    grade: 2,
    passed: false,
    at: at(9),
    evidence: 'e9',
    detail: 'a gap',
  });
  expect(currentGrade(left)).toBe(1);
  expect(left.at(-1)).toMatchObject({ grade: 1, detail: 'grade 2 failed: a gap' });
  expect(
    currentGrade(
      rememberProof([record(5, 2)], { grade: 1, passed: false, at: at(9), evidence: 'e', detail: 'x' }),
    ),
  ).toBe(0);
  expect(
    currentGrade(rememberProof(left, { grade: 5, passed: true, at: at(9), evidence: 'e', detail: '' })),
  ).toBe(5);
});

test('the newest backup is due to the wanted grade, older ones to grade 2, checked ones not', () => {
  const decision = decideProof(
    catalog([backup('B1', 10, 1), backup('B2', 40, 8), backup('B3', 60, 10)], [[1, 100]]),
    new Map([
      ['B1', [record(2, 9)]],
      ['B3', [record(2, 10)]],
    ]),
    policy,
    [],
    now,
  );
  expect(decision.backups.map(({ label, wanted, due }) => [label, wanted, due])).toEqual([
    ['B3', 5, ['proven to grade 2, grade 5 is wanted']],
    ['B2', 2, ['never proven']],
    ['B1', 2, []],
  ]);
});

test('an old proof is due again', () => {
  const decision = decideProof(
    catalog([backup('B1', 10, 1), backup('B2', 20, 9)], [[1, 100]]),
    new Map([
      ['B1', [record(5, 1)]],
      ['B2', [record(5, 9)]],
    ]),
    policy,
    [],
    now,
  );
  expect(decision.backups.map(({ due }) => due)).toEqual([[], ['last checked 10 days ago']]);
});

test('what a clock that ran ahead dated into the future proves no age', () => {
  const decision = decideProof(
    catalog([backup('B1', 10, 20)], [[1, 100]]),
    new Map([['B1', [record(5, 20)]]]),
    policy,
    [],
    now,
  );
  expect(decision.backups[0]?.due).toEqual([
    'last checked at 2026-01-20T00:00:00.000Z, which lies in the future',
  ]);
  expect(decision.warnings).toEqual([
    'the newest proven backup B1 is dated 2026-01-20T01:00:00.000Z, which lies in the future: how old it is is not known',
  ]);
});

test('running, missing and exported backups are never due', () => {
  const others = [
    backup('R', 70, 10, { finishedAt: null, consistentFrom: null }),
    backup('M', 50, 9, { state: 'missing' }),
    backup('E', 55, 9, { kind: 'export' }),
  ];
  const decision = decideProof(
    catalog([...others, backup('B1', 10, 9)], [[1, 100]]),
    new Map(),
    policy,
    [],
    now,
  );
  expect(decision.backups.filter(({ due }) => due.length > 0)).toMatchObject([{ label: 'B1', wanted: 5 }]);
});

test('warns when nothing is proven, and when the newest proven backup is older than the site allows', () => {
  const one = catalog([backup('B1', 10, 5), backup('B2', 20, 10)], [[1, 100]]);
  expect(decideProof(one, new Map(), policy, [], now).warnings).toEqual(['no backup is proven to grade 5']);
  const old = decideProof(
    one,
    new Map([
      ['B1', [record(5, 6)]],
      ['B2', [record(4, 10)]],
    ]),
    policy,
    [],
    now,
  );
  expect(old.newestProven).toMatchObject({ label: 'B1', grade: 5 });
  expect(old.warnings).toEqual(['the newest proven backup B1 (grade 5) is 5 days old, the site allows 26 h']);
  expect(decideProof(one, new Map([['B2', [record(5, 10)]]]), policy, [], now).warnings).toEqual([]);
});

test('the newest provable position is what proven backups reach by archived log without a gap', () => {
  const one = catalog(
    [backup('B1', 10, 5), backup('B2', 70, 10)],
    [
      [1, 50],
      [60, 100],
    ],
  );
  expect(decideProof(one, new Map([['B1', [record(5, 6)]]]), policy, [], now).newestProvable).toBe(50n);
  expect(
    decideProof(
      one,
      new Map([
        ['B1', [record(5, 6)]],
        ['B2', [record(5, 10)]],
      ]),
      policy,
      [],
      now,
    ).newestProvable,
  ).toBe(100n);
  expect(decideProof(one, new Map(), policy, [], now).newestProvable).toBeNull();
});

test('an acknowledged gap stays acknowledged with who and why, others are warned of', () => {
  const one = catalog(
    [backup('B1', 10, 10)],
    [
      [1, 50],
      [60, 80],
      [90, 100],
    ],
  );
  const known = {
    incarnation: 1,
    from: position(50),
    to: position(60),
    by: 'amra',
    why: 'disk replaced',
    at: at(9),
  };
  const { gaps, warnings } = decideProof(one, new Map([['B1', [record(5, 10)]]]), policy, [known], now);
  expect(gaps).toMatchObject([
    { from: 50n, to: 60n, acknowledged: { by: 'amra', why: 'disk replaced' } },
    { from: 80n, to: 90n, acknowledged: null },
  ]);
  expect(warnings).toEqual(['the archived log of incarnation 1 has a gap from 80 to 90']);
});
