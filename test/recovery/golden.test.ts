import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClonaError } from '../../src/errors.ts';
import { planToJson } from '../../src/recovery/answer.ts';
import { listIncarnations } from '../../src/recovery/incarnations.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { parseInstant, parseUntil, type Lost } from '../../src/recovery/question.ts';
import { retentionToJson } from '../../src/retention/explain.ts';
import { parsePolicy } from '../../src/retention/policy.ts';
import { decideRetention } from '../../src/retention/retention.ts';
import { flattenAnswer, readGoldenCases, type GoldenCase } from './golden.ts';

const cases = readGoldenCases();

function answer({ catalog: raw, args }: GoldenCase): { exit: number; document: unknown } {
  try {
    const catalog = parseCatalog(JSON.stringify(raw));
    switch (args.verb) {
      case 'plan': {
        const until = parseUntil(args.until ?? 'latest');
        const plan = planRecovery(catalog, { until, lost: (args.lost ?? 'database') as Lost });
        return { exit: plan.reachable ? 0 : 5, document: planToJson(plan) };
      }
      case 'incarnations':
        return {
          exit: 0,
          document: { current: catalog.currentIncarnation, incarnations: listIncarnations(catalog) },
        };
      case 'retention': {
        const policy = parsePolicy(JSON.stringify(args.policy));
        const now = parseInstant(args.now ?? '', 'now');
        return { exit: 0, document: retentionToJson(decideRetention(catalog, policy, now)) };
      }
    }
  } catch (error) {
    if (!(error instanceof ClonaError)) throw error;
    return { exit: error.exitCode, document: null };
  }
}

describe('worked cases, in process', () => {
  test.for(cases)('$name: $comment', (one) => {
    const { exit: expectedExit, ...expected } = one.expected;
    const { exit, document } = answer(one);
    expect(exit).toBe(expectedExit);
    expect(flattenAnswer(document, expected)).toEqual(expected);
  });
});

describe.skipIf(process.env['CLONA_NO_PROCESSES'] === '1')('worked cases, by the command line', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'clona-golden-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const some = [
    'example-after-4-latest',
    'example-450-on-current',
    'example-lost-all',
    'example-incarnations-4',
    'example-retention-orphan-window',
    'time-offset-rounds-down',
    'wrong-position-2-64',
  ];
  test.for(cases.filter(({ name }) => some.includes(name)))(
    '$name',
    ({ name, catalog, args, expected: all }) => {
      const { exit, ...expected } = all;
      const file = join(folder, `${name}.json`);
      writeFileSync(file, JSON.stringify(catalog));
      const words = [args.verb, '--catalog', file, '--json'];
      if (args.until !== undefined) words.push('--until', args.until);
      if (args.lost !== undefined) words.push('--lost', args.lost);
      if (args.now !== undefined) words.push('--now', args.now);
      if (args.policy !== undefined) {
        const policy = join(folder, `${name}.policy.json`);
        writeFileSync(policy, JSON.stringify(args.policy));
        words.push('--policy', policy);
      }
      const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
      const { status, stdout } = spawnSync(process.execPath, [launcher, ...words], { encoding: 'utf8' });
      expect(status).toBe(exit);
      expect(flattenAnswer(JSON.parse(stdout), expected)).toEqual(expected);
    },
  );
});
