import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { planRemoval, type RemovalStep } from '../../src/retention/removal.ts';
import { decideRetention } from '../../src/retention/retention.ts';
import { explainWhatIf, whatIfRemoved, whatIfToJson } from '../../src/retention/what-if.ts';
import { anyCatalog, anyInstant } from '../recovery/arbitrary.ts';
import { bk, catalogOf, inc, log } from '../recovery/build.ts';
import { branchOf, highest, pathOf, serves } from '../recovery/reference.ts';

const runs = Number(process.env['CLONA_RUNS'] ?? 1000);

const nameOf = (step: RemovalStep): string =>
  step.kind === 'backup' ? step.label : `${step.log.incarnation}/${step.log.thread}/${step.log.sequence}`;

test('all that may go goes, once: backups before logs, what stands on a base before the base, logs in order', () => {
  fc.assert(
    fc.property(anyCatalog, anyInstant, (catalog, now) => {
      const answer = decideRetention(catalog, { redundancy: 1, windowDays: 0, orphanDays: 0 }, now);
      const steps = planRemoval(catalog, answer);
      const labels = steps.filter(({ kind }) => kind === 'backup').map(nameOf);
      const obsolete = answer.backups.filter(({ keep }) => !keep).map(({ label }) => label);
      const there = obsolete.filter(
        (label) => catalog.backups.find((one) => one.label === label)!.state !== 'missing',
      );
      expect(labels.toSorted()).toEqual(there.toSorted());
      for (const { label, requires = [] } of catalog.backups) {
        for (const base of requires) {
          if (labels.includes(label) && labels.includes(base))
            expect(labels.indexOf(label)).toBeLessThan(labels.indexOf(base));
        }
      }
      expect(steps.slice(0, labels.length).every(({ kind }) => kind === 'backup')).toBe(true);
      const logs = steps.slice(labels.length);
      expect(logs.map(nameOf)).toEqual(
        answer.deletableLogs.map((one) => `${one.incarnation}/${one.thread}/${one.sequence}`),
      );
      for (const { kind } of logs) expect(kind).toBe('log');
    }),
    { numRuns: runs },
  );
});

test('every removal says why', () => {
  const catalog = catalogOf({
    incarnations: [inc(1), inc(2, 1, 5)],
    backups: [
      bk('A', 10, 10, { state: 'expired' }),
      bk('B', 20),
      bk('C', 15, 15, { finishedAt: '2024-04-01T00:00:00Z' }),
    ],
    logs: [log(1, 1, 12), log(9, 5, 9, { incarnation: 2 }), log(2, 12, 30)],
  });
  const steps = planRemoval(
    catalog,
    decideRetention(catalog, { redundancy: 1, windowDays: 0, orphanDays: 0 }, 0),
  );
  expect(steps.map((step) => `${nameOf(step)}: ${step.reason}`)).toEqual([
    'A: it is expired and not pinned',
    'C: newer ones fulfil redundancy 1 and the window of 0 days',
    '1/1/1: ends at or below the low water mark 20',
    '2/1/9: its incarnation is abandoned',
  ]);
});

/** Position by position: what could be reached as a state of `id` before, and not after. */
function lostPositions(catalog: Catalog, removed: readonly string[], id: number): number[] {
  const target = { catalog, path: pathOf(catalog, id), lost: 'database' as const };
  const { parent } = catalog.incarnations.find((one) => one.id === id)!;
  const lowest = parent === null ? 0 : branchOf(catalog, id) + 1;
  const positions = Array.from({ length: highest + 1 }, (_, position) => position).slice(lowest);
  return positions.filter((p) => {
    const serving = catalog.backups.filter((backup) => serves(target, backup, p));
    return serving.length > 0 && serving.every(({ label }) => removed.includes(label));
  });
}

test('the what-if names exactly the targets that would be lost', () => {
  fc.assert(
    fc.property(anyCatalog, fc.nat(), fc.nat(), (catalog, first, second) => {
      fc.pre(catalog.backups.length > 0);
      const labels = [first, second].map((pick) => catalog.backups[pick % catalog.backups.length]!.label);
      const { removed, lost } = whatIfRemoved(catalog, labels);
      for (const { id } of catalog.incarnations) {
        const told = lost
          .filter(({ incarnation }) => incarnation === id)
          .flatMap(({ from, to }) =>
            Array.from({ length: Number(to - from) + 1 }, (_, at) => Number(from) + at),
          );
        expect(told).toEqual(lostPositions(catalog, removed, id));
      }
    }),
    { numRuns: runs },
  );
});

test('what stands on a removed backup goes with it, and the stretches are told', () => {
  const catalog = catalogOf({
    incarnations: [inc(1), inc(2, 1, 40)],
    backups: [
      bk('A', 10, 12),
      bk('B', 20, 22, { requires: ['A'] }),
      bk('C', 50, 50, { requires: ['B'] }),
      bk('D', 70),
    ],
    logs: [log(1, 1, 60), log(1, 40, 45, { incarnation: 2 })],
  });
  const answer = whatIfRemoved(catalog, ['B']);
  expect(answer.removed).toEqual(['B', 'C']);
  expect(whatIfToJson(answer)).toEqual({ removed: ['B', 'C'], lost: [] });
  expect(explainWhatIf(catalog, answer)).toBe(
    'without B, C: every target that can be reached now still could be',
  );
  const all = whatIfRemoved(catalog, ['A', 'D']);
  expect(whatIfToJson(all)).toEqual({
    removed: ['A', 'B', 'C', 'D'],
    lost: [
      { incarnation: 1, from: '12', to: '60' },
      { incarnation: 1, from: '70', to: '70' },
      { incarnation: 2, from: '41', to: '45' },
    ],
  });
  expect(explainWhatIf(catalog, all)).toBe(
    [
      'without A, B, C, D:',
      'these targets could not be reached any more:',
      '  incarnation 1: 12 to 60',
      '  incarnation 1: 70',
      '  incarnation 2: 41 to 45',
    ].join('\n'),
  );
  expect(() => whatIfRemoved(catalog, ['A', 'Z'])).toThrow('there is no backup "Z" in the catalog');
});
