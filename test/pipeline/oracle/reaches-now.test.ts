import { expect, test } from 'vitest';
import { reachesNow } from '../../../src/pipeline/oracle/back-up.ts';
import type { ArchivedLog } from '../../../src/recovery/catalog.ts';
import { bk, catalogOf, inc, log } from '../../recovery/build.ts';

const before = log(1, 50, 200);
const after = (first: number): ArchivedLog => log(1, first, 240, { incarnation: 2 });

test.each([
  ['the log goes on into the new incarnation', 200, [before], true],
  ['its end is archived on the new one', 200, [before, after(200)], true],
  ['what was written before the revert is in no archive: it does not', 205, [before], false],
  ['later logs do not mend that: it does not', 205, [before, after(205)], false],
])('an archive leads to now, where LIVE was reverted and %s', (_, branch, logs, expected) => {
  const incarnations = [inc(1), inc(2, 1, branch)];
  const backups = [bk('B1', 100, 110)];
  expect(reachesNow(catalogOf({ currentIncarnation: 2, incarnations, backups, logs }))).toBe(expected);
});
