import { defineConfig } from 'vitest/config';

/**
 * `npm run test:mutation`: the tests of the pure folders alone, with the worked cases and 200 histories, no process
 * started and always the same random cases, so that a mutant is killed every time or never.
 */
export default defineConfig({
  test: {
    include: ['test/recovery/**/*.test.ts', 'test/retention/**/*.test.ts', 'test/simulator/**/*.test.ts'],
    setupFiles: ['test/simulator/same-seed.ts'],
    env: { CLONA_HISTORIES: '200', CLONA_RUNS: '300', CLONA_FUZZ: '150', CLONA_NO_PROCESSES: '1' },
    testTimeout: 60_000,
  },
});
