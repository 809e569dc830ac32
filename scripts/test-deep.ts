import { spawnSync } from 'node:child_process';

/** `npm run test:deep`: the same properties as in CI with very many more runs; takes about half an hour. */
const env = {
  ...process.env,
  CLONA_HISTORIES: '100000',
  CLONA_RUNS: '100000',
  CLONA_FUZZ: '100000',
  CLONA_FLIPS: '1000',
};
const folders = [
  'test/simulator',
  'test/recovery',
  'test/retention',
  'test/databases/postgres/parsers-fuzz.test.ts',
  'test/databases/postgres/prove/flips.test.ts',
];
const words = ['node_modules/vitest/vitest.mjs', 'run', '--testTimeout=7200000', ...folders];
const { status } = spawnSync(process.execPath, words, { stdio: 'inherit', env });
process.exitCode = status ?? 1;
