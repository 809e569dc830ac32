import { expect, test } from 'vitest';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { planRemoval } from '../../src/retention/removal.ts';
import { decideRetention } from '../../src/retention/retention.ts';
import { explainWhatIf, whatIfRemoved } from '../../src/retention/what-if.ts';

const backup = (label: string, incarnation: number, start: string, consistentFrom: string, more = {}) => ({
  label,
  incarnation,
  kind: 'managed',
  start,
  consistentFrom,
  startedAt: '2024-05-01T00:00:00Z',
  finishedAt: '2024-05-01T00:00:00Z',
  device: 'disk-b',
  state: 'available',
  ownLog: false,
  grade: 3,
  pinned: false,
  bytes: 1,
  ...more,
});
const log = (incarnation: number, sequence: number, first: string, next: string) => ({
  incarnation,
  thread: 1,
  sequence,
  first,
  next,
  firstTime: null,
  nextTime: null,
  state: 'available',
});
const catalogOf = (backups: object[], logs: object[], incarnations?: object[]) =>
  parseCatalog(
    JSON.stringify({
      engine: 'oracle',
      database: 'ERP',
      currentIncarnation: incarnations === undefined ? 1 : 2,
      incarnations: incarnations ?? [{ id: 1, parent: null, branchPosition: '1', openedAt: null }],
      backups,
      logs,
      onlineLogs: [],
    }),
  );

const twoBackups = () =>
  catalogOf(
    [backup('A', 1, '10', '12'), backup('B', 1, '40', '43')],
    [log(1, 1, '1', '30'), log(1, 2, '30', '60')],
  );

test('removing the older backup loses the targets before the younger one is consistent', () => {
  expect(whatIfRemoved(twoBackups(), ['A']).lost).toEqual([{ incarnation: 1, from: 12n, to: 42n }]);
});

test('removing the younger backup loses nothing while the log reaches from the older one', () => {
  expect(whatIfRemoved(twoBackups(), ['B']).lost).toEqual([]);
  expect(explainWhatIf({ engine: 'oracle' }, whatIfRemoved(twoBackups(), ['B']))).toContain('still could be');
});

test('removing both loses everything', () => {
  expect(whatIfRemoved(twoBackups(), ['A', 'B']).lost).toEqual([{ incarnation: 1, from: 12n, to: 60n }]);
});

test('what stands on a removed backup goes with it', () => {
  const catalog = catalogOf(
    [backup('A', 1, '10', '12'), backup('B', 1, '40', '43', { requires: ['A'] })],
    [log(1, 1, '30', '60')],
  );
  expect(whatIfRemoved(catalog, ['A'])).toEqual({
    removed: ['A', 'B'],
    lost: [{ incarnation: 1, from: 43n, to: 60n }],
  });
});

test('targets up to a branch are told of the parent alone', () => {
  const catalog = catalogOf(
    [backup('A', 1, '10', '12')],
    [log(1, 1, '1', '50'), log(2, 1, '50', '70')],
    [
      { id: 1, parent: null, branchPosition: '1', openedAt: null },
      { id: 2, parent: 1, branchPosition: '50', openedAt: null },
    ],
  );
  expect(whatIfRemoved(catalog, ['A']).lost).toEqual([
    { incarnation: 1, from: 12n, to: 50n },
    { incarnation: 2, from: 51n, to: 70n },
  ]);
});

test('what ends below a branch is not told of the child at all', () => {
  const catalog = catalogOf(
    [backup('A', 1, '10', '12')],
    [log(1, 1, '1', '30'), log(2, 1, '50', '70')],
    [
      { id: 1, parent: null, branchPosition: '1', openedAt: null },
      { id: 2, parent: 1, branchPosition: '50', openedAt: null },
    ],
  );
  expect(whatIfRemoved(catalog, ['A']).lost).toEqual([{ incarnation: 1, from: 12n, to: 30n }]);
});

test('what stands on a removed backup and on another goes too', () => {
  const catalog = catalogOf(
    [
      backup('A', 1, '10', '12'),
      backup('B', 1, '20', '22'),
      backup('C', 1, '30', '32', { requires: ['A', 'B'] }),
    ],
    [log(1, 1, '1', '60')],
  );
  expect(whatIfRemoved(catalog, ['B']).removed).toEqual(['B', 'C']);
});

test('stretches that touch are told as one', () => {
  const catalog = catalogOf(
    [backup('A', 1, '10', '10'), backup('B', 1, '21', '21')],
    [log(1, 1, '1', '20'), log(1, 3, '21', '30')],
  );
  expect(whatIfRemoved(catalog, ['A', 'B']).lost).toEqual([{ incarnation: 1, from: 10n, to: 30n }]);
});

test('of two that begin together the one that reaches further counts', () => {
  const catalog = catalogOf(
    [backup('FAR', 1, '20', '20'), backup('NEAR', 1, '10', '20')],
    [log(1, 1, '1', '30'), { ...log(1, 1, '20', '30'), thread: 2 }],
  );
  expect(whatIfRemoved(catalog, ['NEAR']).lost).toEqual([]);
  expect(whatIfRemoved(catalog, ['FAR', 'NEAR']).lost).toEqual([{ incarnation: 1, from: 20n, to: 30n }]);
});

test('an unknown label is refused', () => {
  expect(() => whatIfRemoved(twoBackups(), ['C'])).toThrow(
    expect.objectContaining({ exitCode: 2, message: 'there is no backup "C" in the catalog' }),
  );
});

test('obsolete backups go before their logs, and what stands on a base before the base', () => {
  const catalog = catalogOf(
    [
      backup('BASE', 1, '10', '12'),
      backup('TOP', 1, '20', '22', { requires: ['BASE'] }),
      backup('NEW', 1, '40', '43', { finishedAt: '2024-05-09T00:00:00Z' }),
    ],
    [log(1, 1, '1', '20'), log(1, 2, '20', '40'), log(1, 3, '40', '60')],
  );
  const answer = decideRetention(
    catalog,
    { redundancy: 1, windowDays: 0, orphanDays: 0 },
    Date.parse('2024-05-10T00:00:00Z'),
  );
  const steps = planRemoval(catalog, answer).map((step) =>
    step.kind === 'backup' ? step.label : step.log.sequence,
  );
  expect(steps).toEqual(['TOP', 'BASE', 1, 2]);
});
