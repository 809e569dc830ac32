/** A parsed schedule of five fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday). */
export interface Cron {
  minutes: ReadonlySet<number>;
  hours: ReadonlySet<number>;
  days: ReadonlySet<number>;
  months: ReadonlySet<number>;
  weekdays: ReadonlySet<number>;
  /** As crontab(5) has it: when both day fields are restricted, either one suffices. */
  eitherDay: boolean;
  text: string;
}

const names: Readonly<Record<string, readonly string[]>> = {
  month: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  weekday: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
};
const shorthands: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
};

/** Reads a crontab(5) expression. Returns the reason as a string when it is none. */
export function parseCron(text: string): Cron | string {
  const fields = (shorthands[text.trim()] ?? text).trim().split(/\s+/);
  const [minute, hour, day, month, weekday] = fields;
  if (fields.length !== 5 || !minute || !hour || !day || !month || !weekday) {
    return 'a schedule has five fields: minute hour day-of-month month day-of-week';
  }
  const parsed = {
    minutes: parseField(minute, 0, 59),
    hours: parseField(hour, 0, 23),
    days: parseField(day, 1, 31),
    months: parseField(month, 1, 12, names['month']),
    weekdays: parseField(weekday, 0, 7, names['weekday']),
  };
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value === 'string') return `${value} in its ${name}`;
  }
  const cron = parsed as Omit<Cron, 'eitherDay' | 'text'>; // every string was returned above
  const weekdays = new Set([...cron.weekdays].map((number) => number % 7));
  const eitherDay = !day.startsWith('*') && !weekday.startsWith('*');
  const result = { ...cron, weekdays, eitherDay, text: text.trim() };
  return neverRuns(result) ? 'it names a day that no month has' : result;
}

function parseField(
  text: string,
  low: number,
  high: number,
  words: readonly string[] = [],
): ReadonlySet<number> | string {
  const found = new Set<number>();
  const toNumber = (word: string): number => {
    const index = words.indexOf(word.toLowerCase());
    if (index >= 0) return index + (low === 1 ? 1 : 0);
    return /^\d+$/.test(word) ? Number(word) : Number.NaN;
  };
  for (const part of text.split(',')) {
    const [, range, step] = /^([^/]+)(?:\/(\d+))?$/.exec(part) ?? [];
    const [from, to] = range === '*' ? [String(low), String(high)] : (range ?? '').split('-');
    const first = toNumber(from ?? '');
    const last = to === undefined ? (step === undefined ? first : high) : toNumber(to);
    const stride = step === undefined ? 1 : Number(step);
    if (!(first >= low && last <= high && first <= last && stride > 0)) {
      return `"${part}" is not in ${low} to ${high}`;
    }
    for (let value = first; value <= last; value += stride) found.add(value);
  }
  return found;
}

function neverRuns(cron: Cron): boolean {
  if (cron.eitherDay || cron.weekdays.size < 7) return false;
  const longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return ![...cron.months].some((month) => [...cron.days].some((day) => day <= (longest[month - 1] ?? 0)));
}

/**
 * The first moment after `after` at which the schedule runs, on the clock of `zone` (IANA name). A local time that
 * the clock jumps over in spring does not run that day; one that comes twice in autumn runs twice only where the
 * hour field is `*`. Returns undefined when none lies within five years.
 */
export function nextRun(cron: Cron, after: Date, zone: string): Date | undefined {
  const minute = 60_000;
  const clock = wallClock(zone);
  let at = Math.floor(after.getTime() / minute) * minute + minute;
  const end = at + 5 * 366 * 86_400_000;
  while (at < end) {
    const wall = clock(at);
    if (!cron.months.has(wall.month) || !dayMatches(cron, wall)) {
      // Never past the next midnight: days have 23 to 25 hours.
      at += (wall.hour < 21 ? (22 - wall.hour) * 60 - wall.minute : 60 - wall.minute) * minute;
    } else if (!cron.hours.has(wall.hour)) {
      at += (60 - wall.minute) * minute;
    } else if (!cron.minutes.has(wall.minute) || isRepeat(cron, at, clock)) {
      at += minute;
    } else {
      return new Date(at);
    }
  }
  return undefined;
}

interface WallClock {
  month: number;
  day: number;
  weekday: number;
  hour: number;
  minute: number;
}

function dayMatches(cron: Cron, wall: WallClock): boolean {
  const day = cron.days.has(wall.day);
  const weekday = cron.weekdays.has(wall.weekday);
  return cron.eitherDay ? day || weekday : day && weekday;
}

function isRepeat(cron: Cron, at: number, clock: (at: number) => WallClock): boolean {
  if (cron.hours.size === 24) return false;
  const now = clock(at);
  return [30, 60].some((back) => {
    const before = clock(at - back * 60_000);
    return before.day === now.day && before.hour === now.hour && before.minute === now.minute;
  });
}

function wallClock(zone: string): (at: number) => WallClock {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    weekday: 'short',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  return (at) => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return {
      month: Number(parts['month']),
      day: Number(parts['day']),
      weekday: names['weekday']?.indexOf((parts['weekday'] ?? '').toLowerCase()) ?? -1,
      hour: Number(parts['hour']),
      minute: Number(parts['minute']),
    };
  };
}
