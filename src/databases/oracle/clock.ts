import { showInstant, toInstant } from '../../recovery/instant.ts';

/** What the server says of its own clock, all three at one moment. */
export interface ClockFacts {
  /** SYSDATE and SYS_EXTRACT_UTC(SYSTIMESTAMP): `2024-03-12T10:00:00`. */
  local: string;
  utc: string;
  /** DBTIMEZONE: a region or an offset. It says how TIMESTAMP WITH LOCAL TIME ZONE is stored, DATEs need not follow it. */
  zone: string | null;
}

export interface ServerClock {
  /** Wall clock time of the server's host as an instant in UTC; null stays null. */
  toInstant: (wall: string | null) => string | null;
  /** How the zone was found, for people. */
  said: string;
  /** The offset is only today's: times of the other half of the year may be an hour off. */
  doubtful: boolean;
  nowMs: number;
  zone: ZoneFacts;
}

/** Enough to read and write the server's wall clock when it is gone. */
export interface ZoneFacts {
  /** IANA name; null: only the offset is known. */
  region: string | null;
  offsetMinutes: number;
}

/** Wall clock time of the server's host as an instant in UTC, when the server itself is not asked; null stays null. */
export function readWallClock({ region, offsetMinutes }: ZoneFacts): (wall: string | null) => string | null {
  const offsetAt = region === null ? null : createZone(region);
  const toMs =
    offsetAt === null ? (wallMs: number) => wallMs - offsetMinutes * 60_000 : createWallClock(offsetAt);
  return (wall) => convert(wall, toMs);
}

/** An instant as the server's own clock shows it, to the second: what UNTIL TIME and TO_DATE are given. */
export function toWallClock(instantMs: number, { region, offsetMinutes }: ZoneFacts): string {
  const offsetAt = region === null ? null : createZone(region);
  const offset = offsetAt === null ? offsetMinutes : offsetAt(instantMs);
  return new Date(instantMs + offset * 60_000).toISOString().slice(0, 19);
}

/**
 * DATE columns of the control file have no zone: they are wall clock time of the server's host. `given` is the zone the
 * site names (IANA); else DBTIMEZONE where it is a region that agrees with the host now; else the host's offset now.
 * A time that a change of clocks shows twice is taken as the first of the two, one that it skips as if the clock had gone on.
 */
export function readServerClock(facts: ClockFacts, given?: string): ServerClock {
  const nowMs = toInstant(`${facts.utc}Z`) ?? 0;
  const offset = Math.round(((toInstant(`${facts.local}Z`) ?? nowMs) - nowMs) / 60_000);
  const region = given ?? (facts.zone?.includes('/') === true ? facts.zone : undefined);
  const offsetAt = region === undefined ? null : createZone(region);
  if (offsetAt !== null && (given !== undefined || offsetAt(nowMs) === offset)) {
    return {
      toInstant: (wall) => convert(wall, createWallClock(offsetAt)),
      said: region ?? '',
      zone: { region: region ?? null, offsetMinutes: offset },
      doubtful: false,
      nowMs,
    };
  }
  const fixed = (wallMs: number): number => wallMs - offset * 60_000;
  const said = `${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
  return {
    toInstant: (wall) => convert(wall, fixed),
    said,
    doubtful: offset !== 0,
    nowMs,
    zone: { region: null, offsetMinutes: offset },
  };
}

const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');

/** A log begins when the one before it ended: what was asked last is asked again. */
const lately = new WeakMap<(wallMs: number) => number, { wall: string; instant: string | null }>();

function convert(wall: string | null, toMs: (wallMs: number) => number): string | null {
  if (wall === null) return null;
  const last = lately.get(toMs);
  if (last?.wall === wall) return last.instant;
  const wallMs = toInstant(`${wall}Z`);
  const instant = wallMs === null ? null : showInstant(toMs(wallMs));
  lately.set(toMs, { wall, instant });
  return instant;
}

const dayMs = 86_400_000;

/** Minutes east of UTC at an instant; null: this system knows no such zone. */
function createZone(region: string): ((atMs: number) => number) | null {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: region, timeZoneName: 'longOffset' });
  } catch {
    return null;
  }
  return (atMs) => {
    const name = format.formatToParts(atMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
    const match = /([+-])(\d\d):(\d\d)/.exec(name);
    return match === null ? 0 : (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
  };
}

const clocks = new WeakMap<(atMs: number) => number, (wallMs: number) => number>();

/** Offsets are looked up once a day of wall time: 100 000 logs lie on few days, and Intl is slow. */
function createWallClock(offsetAt: (atMs: number) => number): (wallMs: number) => number {
  const known = clocks.get(offsetAt);
  if (known !== undefined) return known;
  const days = new Map<number, [number, number]>();
  const clock = (wallMs: number): number => {
    const day = Math.floor(wallMs / dayMs);
    let offsets = days.get(day);
    if (offsets === undefined) {
      offsets = [offsetAt(day * dayMs - dayMs), offsetAt(day * dayMs + 2 * dayMs)];
      days.set(day, offsets);
    }
    const [before, after] = offsets;
    if (before === after) return wallMs - before * 60_000;
    const first = wallMs - Math.max(before, after) * 60_000;
    const second = wallMs - Math.min(before, after) * 60_000;
    for (const at of [first, second]) if (at + offsetAt(at) * 60_000 === wallMs) return at;
    return wallMs - before * 60_000;
  };
  clocks.set(offsetAt, clock);
  return clock;
}
