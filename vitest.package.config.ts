import { defineConfig } from 'vitest/config';

/** The packed product in an empty folder: `npm run test:package`. Apart from `npm test` because it installs from a registry. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.pack.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    reporters: process.env['CI']
      ? ['default', ['json', { outputFile: 'reports/package.json' }]]
      : ['default'],
  },
});
