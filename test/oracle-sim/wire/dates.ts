import { SqlDate, SqlTimestamp } from './values.ts';

/** Seven bytes of DATE: century and year + 100, month, day, hour, minute and second + 1. */
export function encodeDate(seconds: number): Buffer {
  const date = new Date(seconds * 1000);
  const year = date.getUTCFullYear();
  return Buffer.from([
    Math.trunc(year / 100) + 100,
    (year % 100) + 100,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours() + 1,
    date.getUTCMinutes() + 1,
    date.getUTCSeconds() + 1,
  ]);
}

/** With a zone the fields are UTC's, and the zone follows. */
export function encodeTimestamp({ seconds, nanoseconds, offsetMinutes }: SqlTimestamp): Buffer {
  const fraction = Buffer.alloc(4);
  fraction.writeUInt32BE(nanoseconds);
  if (offsetMinutes === null) return Buffer.concat([encodeDate(seconds), fraction]);
  const zone = Buffer.from([Math.trunc(offsetMinutes / 60) + 20, (offsetMinutes % 60) + 60]);
  return Buffer.concat([encodeDate(seconds - offsetMinutes * 60), fraction, zone]);
}

export function decodeDate(bytes: Buffer): SqlDate {
  const [century = 0, year = 0, month = 1, day = 1, hour = 1, minute = 1, second = 1] = bytes;
  const full = (century - 100) * 100 + year - 100;
  return new SqlDate(Date.UTC(full, month - 1, day, hour - 1, minute - 1, second - 1) / 1000);
}

export function decodeTimestamp(bytes: Buffer): SqlTimestamp {
  const { seconds } = decodeDate(bytes);
  const nanoseconds = bytes.length >= 11 ? bytes.readUInt32BE(7) : 0;
  if (bytes.length < 13) return new SqlTimestamp(seconds, nanoseconds);
  const offset = (bytes[11]! - 20) * 60 + bytes[12]! - 60;
  return new SqlTimestamp(seconds + offset * 60, nanoseconds, offset);
}
