import type { MaintenanceWindow, Weekday } from './facts.ts';

const weekdays: readonly Weekday[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** Is `now` inside the window, by the wall clock of its own time zone? A window that cannot be read is shut. */
export function isWindowOpen(window: MaintenanceWindow, now: Date): boolean {
  const from = minuteOfDay(window.from);
  const to = minuteOfDay(window.to);
  const local = localTime(now, window.timeZone);
  if (from === null || to === null || local === null) return false;
  const begunToday = window.days.includes(local.weekday);
  if (from < to) return begunToday && local.minute >= from && local.minute < to;
  const yesterday = weekdays[(weekdays.indexOf(local.weekday) + 6) % 7];
  const begunYesterday = yesterday !== undefined && window.days.includes(yesterday);
  return (begunToday && local.minute >= from) || (begunYesterday && local.minute < to);
}

/** "sat sun 22:00-02:00 Europe/Berlin" */
export function describeWindow({ days, from, to, timeZone }: MaintenanceWindow): string {
  return `${days.join(' ')} ${from}-${to} ${timeZone}`;
}

function minuteOfDay(text: string): number | null {
  const match = /^([01][0-9]|2[0-4]):([0-5][0-9])$/.exec(text);
  if (match === null) return null;
  const minute = Number(match[1]) * 60 + Number(match[2]);
  return minute <= 1440 ? minute : null;
}

function localTime(now: Date, timeZone: string): { weekday: Weekday; minute: number } | null {
  if (Number.isNaN(now.getTime())) return null;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
  } catch {
    return null;
  }
  const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]));
  const weekday = weekdays.find((day) => day === parts.get('weekday')?.toLowerCase());
  const minute = Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
  return weekday === undefined || Number.isNaN(minute) ? null : { weekday, minute };
}
