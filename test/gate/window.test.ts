import { expect, test } from 'vitest';
import type { MaintenanceWindow } from '../../src/gate/facts.ts';
import { isWindowOpen } from '../../src/gate/window.ts';

const open = (window: Partial<MaintenanceWindow>, at: string): boolean =>
  isWindowOpen(
    { days: ['sat'], from: '22:00', to: '02:00', timeZone: 'Europe/Berlin', ...window },
    new Date(at),
  );

test('a window over midnight belongs to the day on which it begins', () => {
  expect(open({}, '2026-01-10T21:00:00Z')).toBe(true); // Sat 22:00
  expect(open({}, '2026-01-11T00:59:00Z')).toBe(true); // Sun 01:59
  expect(open({}, '2026-01-11T01:00:00Z')).toBe(false); // Sun 02:00
  expect(open({}, '2026-01-09T23:30:00Z')).toBe(false); // Sat 00:30, began on Friday
  expect(open({}, '2026-01-10T20:59:59Z')).toBe(false); // Sat 21:59
});

test('a window goes by the wall clock when the clocks change', () => {
  expect(open({}, '2026-07-11T20:00:00Z')).toBe(true); // Sat 22:00 summer time
  expect(open({}, '2026-07-11T19:59:00Z')).toBe(false);
});

test('a window of a day is open at midnight of its own zone only', () => {
  expect(open({ from: '00:00', to: '24:00', timeZone: 'UTC' }, '2026-01-10T00:00:00Z')).toBe(true);
  expect(open({ from: '00:00', to: '24:00', timeZone: 'UTC' }, '2026-01-11T00:00:00Z')).toBe(false);
});

test('a window that cannot be read is shut', () => {
  expect(open({ from: '9:00' }, '2026-01-10T21:00:00Z')).toBe(false);
  expect(open({ timeZone: 'Nowhere/At_All' }, '2026-01-10T21:00:00Z')).toBe(false);
  expect(open({ days: [] }, '2026-01-10T21:00:00Z')).toBe(false);
  expect(open({}, 'no time')).toBe(false);
});
