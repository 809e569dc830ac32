import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PlanAnswer } from '../../src/recovery/answer.ts';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { checkCatalog } from '../../src/recovery/check-catalog.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { asPosition } from '../../src/recovery/position.ts';
import { lostWords, type Until } from '../../src/recovery/question.ts';
import { anyCatalog, anyInstant } from './arbitrary.ts';
import { ask, lowestReachable, positionOfTime, type ReferenceAnswer } from './reference.ts';

const runs = Number(process.env['CLONA_RUNS'] ?? 1500);

function flatten(answer: PlanAnswer): ReferenceAnswer {
  const number = (position: bigint | null): number | null => (position === null ? null : Number(position));
  return {
    reachable: answer.reachable,
    incarnation: answer.target.incarnation,
    until: number(answer.target.until),
    backup: answer.backup,
    logs: answer.logs.map((log) => `${log.incarnation}/${log.thread}/${log.sequence}`).sort(),
    usesOnlineLog: answer.usesOnlineLog,
    reset: answer.resetDatabaseToIncarnation,
    opens: answer.opensNewIncarnation,
    redoFrom: number(answer.redoFrom),
    redoTo: number(answer.redoTo),
    below: number(answer.nearest.below),
    above: number(answer.nearest.above),
  };
}

const anyQuestion = fc.record({
  pick: fc.nat(),
  p: fc.integer({ min: 0, max: 62 }),
  lost: fc.constantFrom(...lostWords),
});

function check(
  kind: string,
  pose: (
    catalog: Catalog,
    pick: number,
    p: number,
  ) => { until: Until; expected: (lost: (typeof lostWords)[number]) => ReferenceAnswer } | null,
): void {
  test(`${kind}: the plan is what the settled details say, position by position`, () => {
    fc.assert(
      fc.property(anyCatalog, anyQuestion, (catalog, { pick, p, lost }) => {
        checkCatalog(catalog);
        const posed = pose(catalog, pick, p);
        if (posed === null) return;
        const answer = planRecovery(catalog, { until: posed.until, lost });
        expect(flatten(answer)).toEqual(posed.expected(lost));
        expect(answer.steps.length).toBeGreaterThan(0);
        for (const { reasons } of answer.rejected) expect(reasons.length).toBeGreaterThan(0);
        const others = posed.until.kind === 'backup' ? 1 : catalog.backups.length;
        expect(answer.rejected.length).toBe(others - (answer.reachable ? 1 : 0));
      }),
      { numRuns: runs },
    );
  });
}

check('latest', (catalog) => ({
  until: { kind: 'latest' },
  expected: (lost) => ask(catalog, catalog.currentIncarnation, null, lost),
}));

check('position', (catalog, _, p) => ({
  until: { kind: 'position', position: asPosition(BigInt(p)) },
  expected: (lost) => ask(catalog, catalog.currentIncarnation, p, lost),
}));

check('incarnation', (catalog, pick) => {
  const { id } = catalog.incarnations[pick % catalog.incarnations.length]!;
  return {
    until: { kind: 'incarnation', incarnation: id, position: null },
    expected: (lost) => ask(catalog, id, null, lost),
  };
});

check('incarnation at a position', (catalog, pick, p) => {
  const { id } = catalog.incarnations[pick % catalog.incarnations.length]!;
  return {
    until: { kind: 'incarnation', incarnation: id, position: asPosition(BigInt(p)) },
    expected: (lost) => ask(catalog, id, p, lost),
  };
});

check('backup', (catalog, pick) => {
  const backup = catalog.backups[pick % Math.max(1, catalog.backups.length)];
  if (backup === undefined || backup.kind === 'export') return null;
  const p = backup.consistentFrom === null ? null : Number(backup.consistentFrom);
  return {
    until: { kind: 'backup', label: backup.label },
    expected: (lost) => ask(catalog, backup.incarnation, p, lost, backup.label),
  };
});

test('time: the position is what the settled details say, and the plan that of the position', () => {
  fc.assert(
    fc.property(anyCatalog, anyInstant, fc.constantFrom(...lostWords), (catalog, instantMs, lost) => {
      const answer = planRecovery(catalog, { until: { kind: 'time', instantMs }, lost });
      const p = positionOfTime(catalog, instantMs);
      const expected =
        p === null
          ? { reachable: false, until: null, below: null, above: lowestReachable(catalog, lost) }
          : ask(catalog, catalog.currentIncarnation, p, lost);
      expect(flatten(answer)).toMatchObject(expected);
    }),
    { numRuns: runs },
  );
});
