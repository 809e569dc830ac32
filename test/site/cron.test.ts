import { describe, expect, test } from 'vitest';
import { nextRun, parseCron, type Cron } from '../../src/site/cron.ts';

function cron(text: string): Cron {
  const parsed = parseCron(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

function runs(text: string, after: string, zone: string, count: number): string[] {
  const found: string[] = [];
  let at = new Date(after);
  while (found.length < count) {
    const next = nextRun(cron(text), at, zone);
    if (next === undefined) break;
    found.push(next.toISOString());
    at = next;
  }
  return found;
}

describe('a schedule', () => {
  test('runs at the next moment that fits, never at the moment asked from', () => {
    expect(runs('30 2 * * *', '2025-03-01T02:30:00Z', 'UTC', 2)).toEqual([
      '2025-03-02T02:30:00.000Z',
      '2025-03-03T02:30:00.000Z',
    ]);
  });

  test('knows steps, ranges, lists and names', () => {
    expect(runs('*/20 6-7 * * mon-fri', '2025-02-28T06:30:00Z', 'UTC', 4)).toEqual([
      '2025-02-28T06:40:00.000Z',
      '2025-02-28T07:00:00.000Z',
      '2025-02-28T07:20:00.000Z',
      '2025-02-28T07:40:00.000Z',
    ]);
    expect(runs('0 0 29 feb *', '2025-01-01T00:00:00Z', 'UTC', 1)).toEqual(['2028-02-29T00:00:00.000Z']);
    expect(cron('0 0 * * 7').weekdays).toEqual(new Set([0]));
  });

  test('takes either day field when both are restricted, as crontab(5) says', () => {
    expect(runs('0 12 1 * mon', '2025-06-27T00:00:00Z', 'UTC', 3)).toEqual([
      '2025-06-30T12:00:00.000Z',
      '2025-07-01T12:00:00.000Z',
      '2025-07-07T12:00:00.000Z',
    ]);
  });

  test('follows the clock of its zone over both changes of summer time', () => {
    // 30 March 2025: 02:00 becomes 03:00 in Sarajevo; 26 October 2025: 03:00 becomes 02:00.
    expect(runs('30 2 * * *', '2025-03-29T12:00:00Z', 'Europe/Sarajevo', 1)).toEqual([
      '2025-03-31T00:30:00.000Z',
    ]);
    expect(runs('30 2 * * *', '2025-10-25T12:00:00Z', 'Europe/Sarajevo', 2)).toEqual([
      '2025-10-26T00:30:00.000Z',
      '2025-10-27T01:30:00.000Z',
    ]);
  });

  test.each([
    ['0 0 * *', 'five fields'],
    ['60 * * * *', '"60" is not in 0 to 59 in its minutes'],
    ['0 0 0 * *', 'in its days'],
    ['5-1 * * * *', 'in its minutes'],
    ['*/0 * * * *', 'in its minutes'],
    ['a * * * *', 'in its minutes'],
    ['0 0 30 feb *', 'no month has'],
    ['', 'five fields'],
  ])('that is none (%s) is refused with the reason', (text, reason) => {
    expect(parseCron(text)).toContain(reason);
  });
});
