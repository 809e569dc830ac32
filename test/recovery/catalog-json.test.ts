import fc from 'fast-check';
import { expect, test } from 'vitest';
import { catalogToJson } from '../../src/recovery/catalog-json.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { asPosition } from '../../src/recovery/position.ts';
import { anyCatalog } from './arbitrary.ts';
import { bk, catalogOf, idle, inc } from './build.ts';

const runs = Number(process.env['CLONA_RUNS'] ?? 500);

test('a catalog that is written is read as it was', () => {
  const change = fc.record({
    position: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(asPosition)),
    object: fc.string({ minLength: 1 }),
    how: fc.constantFrom('NOLOGGING', 'UNLOGGED', 'wal_level minimal' as const),
  });
  fc.assert(
    fc.property(
      anyCatalog,
      fc.option(fc.array(change, { minLength: 1 })),
      fc.boolean(),
      (given, changes, rests) => {
        const incarnation = given.currentIncarnation;
        const idleThreads = [idle(5, 9, { incarnation }), idle(7, null, { incarnation })];
        const catalog = rests ? { ...given, idleThreads } : given;
        const written =
          changes === null
            ? catalog
            : { ...catalog, changesWithoutRedo: changes.map((one) => ({ ...one, incarnation })) };
        expect(parseCatalog(JSON.stringify(catalogToJson(written)))).toEqual(written);
      },
    ),
    { numRuns: runs },
  );
});

test('positions are written as decimal text, unknown ones as null', () => {
  const backups = [bk('EXP', 5, null, { kind: 'export', start: null })];
  expect(catalogToJson(catalogOf({ incarnations: [inc(1, null, 7)], backups }))).toMatchObject({
    incarnations: [{ branchPosition: '7' }],
    backups: [{ start: null, consistentFrom: null }],
  });
});
