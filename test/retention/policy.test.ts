import { expect, test } from 'vitest';
import { ClonaError } from '../../src/errors.ts';
import { parsePolicy } from '../../src/retention/policy.ts';

function refusal(text: string): string {
  try {
    parsePolicy(text);
  } catch (error) {
    if (error instanceof ClonaError) return `${error.exitCode} ${error.message}`;
  }
  return 'taken';
}

test('an absent rule is off', () => {
  expect(parsePolicy('{"redundancy": 2}')).toEqual({ redundancy: 2, windowDays: 0, orphanDays: 0 });
  expect(parsePolicy('{"windowDays": 0.5, "orphanDays": 3}')).toEqual({
    redundancy: 0,
    windowDays: 0.5,
    orphanDays: 3,
  });
});

test.for([
  ['{"redundancy": -1}', '2 redundancy: a whole number from 0 is needed here, found -1'],
  ['{"redundancy": 1.5}', '2 redundancy: a whole number from 0 is needed here, found 1.5'],
  ['{"windowDays": "7"}', '2 windowDays: a number from 0 is needed here, found "7"'],
  ['{"orphanDays": -0.1}', '2 orphanDays: a number from 0 is needed here, found -0.1'],
  ['{"orphanDays": 1e999}', '2 orphanDays: a number from 0 is needed here, found null'],
  ['{"window": 7}', '2 window: there is no such rule'],
  ['{"redundancy": 1e999}', '2 redundancy: a whole number from 0 is needed here, found null'],
  ['[]', '2 the policy: an object is needed here, found []'],
  ['{', '2 the policy is not JSON at line 1, column 2'],
] as const)('%s is refused', ([text, said]) => {
  expect(refusal(text)).toBe(said);
});

test('a rule that does not exist is refused with the names of those that do', () => {
  expect(() => parsePolicy('{"window": 7}')).toThrow(
    expect.objectContaining({ hint: 'the rules are redundancy, windowDays, orphanDays' }),
  );
});
