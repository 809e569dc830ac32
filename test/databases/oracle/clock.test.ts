import { expect, test } from 'vitest';
import { readServerClock, toWallClock } from '../../../src/databases/oracle/clock.ts';

const summer = { local: '2024-07-01T14:00:00', utc: '2024-07-01T12:00:00', zone: '+00:00' };

test('without a named zone a time is read with the offset of today, and that is said', () => {
  const clock = readServerClock(summer);
  expect(clock.toInstant('2024-01-15T10:00:00')).toBe('2024-01-15T08:00:00Z');
  expect(clock).toMatchObject({ said: '+02:00', doubtful: true });
});

test.each([
  ['winter', '2024-01-15T10:00:00', '2024-01-15T09:00:00Z'],
  ['summer', '2024-07-15T10:00:00', '2024-07-15T08:00:00Z'],
  ['before the clocks go forward', '2024-03-31T01:59:59', '2024-03-31T00:59:59Z'],
  ['after they went forward', '2024-03-31T03:00:00', '2024-03-31T01:00:00Z'],
  ['in the hour that was skipped', '2024-03-31T02:30:00', '2024-03-31T01:30:00Z'],
  ['in the hour that comes twice: the first', '2024-10-27T02:30:00', '2024-10-27T00:30:00Z'],
  ['after it', '2024-10-27T03:00:00', '2024-10-27T02:00:00Z'],
])('with the zone named: %s', (_, wall, instant) => {
  const clock = readServerClock(summer, 'Europe/Sarajevo');
  expect(clock.toInstant(wall)).toBe(instant);
  expect(clock.doubtful).toBe(false);
});

test('DBTIMEZONE counts only where it is a region that agrees with the host', () => {
  expect(readServerClock({ ...summer, zone: 'Europe/Sarajevo' }).said).toBe('Europe/Sarajevo');
  expect(readServerClock({ ...summer, zone: 'America/New_York' }).said).toBe('+02:00');
});

test('a host on UTC leaves no doubt', () => {
  const clock = readServerClock({ local: summer.utc, utc: summer.utc, zone: '+02:00' });
  expect(clock).toMatchObject({ doubtful: false, nowMs: Date.parse('2024-07-01T12:00:00Z') });
  expect(clock.toInstant(null)).toBeNull();
});

test.each([
  ['2024-07-01T12:00:00.900Z', { region: 'Europe/Sarajevo', offsetMinutes: 0 }, '2024-07-01T14:00:00'],
  ['2024-01-01T12:00:00Z', { region: 'Europe/Sarajevo', offsetMinutes: 0 }, '2024-01-01T13:00:00'],
  ['2024-01-01T23:30:00Z', { region: null, offsetMinutes: 120 }, '2024-01-02T01:30:00'],
])('%s is %j on the clock of the server', (instant, zone, wall) => {
  expect(toWallClock(Date.parse(instant), zone)).toBe(wall);
});
