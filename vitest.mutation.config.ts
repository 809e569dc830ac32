import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What costs little first: most mutants die there, and the rest of the tests need not run. */
class CheapFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const cost = ({ moduleId }: TestSpecification): number =>
      Number(moduleId.includes('property')) + Number(moduleId.includes('simulator'));
    return specifications.toSorted((a, b) => cost(a) - cost(b));
  }
}

/**
 * `npm run test:mutation`: the tests of the pure folders alone, with the worked cases and 200 histories, no process
 * started and always the same random cases, so that a mutant is killed every time or never.
 */
export default defineConfig({
  test: {
    include: ['test/recovery/**/*.test.ts', 'test/retention/**/*.test.ts', 'test/simulator/**/*.test.ts'],
    setupFiles: ['test/simulator/same-seed.ts'],
    env: { CLONA_HISTORIES: '200', CLONA_RUNS: '120', CLONA_FUZZ: '60', CLONA_NO_PROCESSES: '1' },
    sequence: { sequencer: CheapFirst },
    testTimeout: 60_000,
    // One worker keeps the modules: loading them anew for each file takes longer than most tests.
    pool: 'threads',
    isolate: false,
  },
});
