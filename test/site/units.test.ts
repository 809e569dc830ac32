import { expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/site/units.ts';

test('durations are read as milliseconds', () => {
  expect(['90s', '15m', '26h', '7d', '2w', '1h30m', '0.5s'].map(parseDuration)).toEqual([
    90_000, 900_000, 93_600_000, 604_800_000, 1_209_600_000, 5_400_000, 500,
  ]);
  for (const text of ['', '7', '7 d', '-1h', '1y', 'h'])
    expect(() => parseDuration(text)).toThrow('is not a duration');
});

test('sizes are read as bytes: GB counts in thousands, GiB in 1024', () => {
  expect(['512MB', '20GB', '1.5TB', '20GiB', '7 B'].map(parseSize)).toEqual([
    512e6,
    20e9,
    1.5e12,
    20 * 2 ** 30,
    7,
  ]);
  for (const text of ['', '20', '20G', '-1GB', 'GB']) expect(() => parseSize(text)).toThrow('is not a size');
});

test('durations and sizes are shown as people say them', () => {
  expect([400, 9_940, 45_000, 11_400_000, 90_000_000, 86_400_000].map(formatDuration)).toEqual([
    '0.4 s',
    '9.9 s',
    '45 s',
    '3 h 10 min',
    '1 d 1 h',
    '1 d',
  ]);
  expect([17, 1e6, 1.54e9, 20e9].map(formatSize)).toEqual(['17 B', '1 MB', '1.5 GB', '20 GB']);
});
