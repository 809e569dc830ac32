import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideRetention } from '../../src/retention/retention.ts';
import { anyCatalog, anyInstant } from '../recovery/arbitrary.ts';
import { retain } from './reference.ts';

const runs = Number(process.env['CLONA_RUNS'] ?? 3000);

const anyPolicy = fc.record({
  redundancy: fc.integer({ min: 0, max: 3 }),
  windowDays: fc.constantFrom(0, 0, 1, 2, 0.5),
  orphanDays: fc.constantFrom(0, 0, 1, 2),
});

test('retention is what the settled details say, backup by backup and log by log', () => {
  fc.assert(
    fc.property(anyCatalog, anyPolicy, anyInstant, (catalog, policy, now) => {
      const { backups, lowWaterMarks, deletableLogs } = decideRetention(catalog, policy, now);
      const answer = {
        kept: backups
          .filter(({ keep }) => keep)
          .map(({ label }) => label)
          .sort(),
        marks: Object.fromEntries(
          lowWaterMarks.map(({ incarnation, position }) => [
            incarnation,
            position === null ? null : Number(position),
          ]),
        ),
        deletable: deletableLogs.map((log) => `${log.incarnation}/${log.thread}/${log.sequence}`).sort(),
      };
      expect(answer).toEqual(retain(catalog, policy, now));
      expect(backups.map(({ label }) => label)).toEqual(catalog.backups.map(({ label }) => label));
      for (const { reasons } of backups) expect(reasons.length).toBeGreaterThan(0);
    }),
    { numRuns: runs },
  );
});
