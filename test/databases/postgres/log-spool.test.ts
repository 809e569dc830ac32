import { expect, test } from 'vitest';
import { judgeSpool, spoolWarningBytes } from '../../../src/databases/postgres/log-spool.ts';

const now = new Date('2026-07-21T10:15:00Z');
const spool = (bytes: number, freeBytes: number, waitedMs: number): Parameters<typeof judgeSpool>[0] => ({
  folder: '/data/spool',
  files: 1,
  bytes,
  oldestAt: new Date(now.getTime() - waitedMs).toISOString(),
  freeBytes,
});

test('a spool is late by size or by age, and filling when its disk holds less than waits already', () => {
  expect(judgeSpool(spool(2 ** 24, 2 ** 40, 1000), now)).toBe('flows');
  expect(judgeSpool({ ...spool(0, 0, 0), oldestAt: null }, now)).toBe('flows');
  expect(judgeSpool(spool(2 ** 24, 2 ** 40, 16 * 60 * 1000), now)).toBe('late');
  expect(judgeSpool(spool(spoolWarningBytes + 1, 2 ** 40, 1000), now)).toBe('late');
  expect(judgeSpool(spool(spoolWarningBytes + 1, spoolWarningBytes, 1000), now)).toBe('filling');
});
