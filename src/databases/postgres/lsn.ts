import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';

const positionLimit = 1n << 64n;

/** Reads an LSN as the server writes it ("16/B374D848"); refuses anything else with `archiveDamaged`. */
export function parseLsn(text: string, where: string): Position {
  const position = readLsn(text);
  if (position === undefined) {
    throw new ClonaError(
      'archiveDamaged',
      `${where}: "${text.slice(0, 40)}" is not a log position such as 16/B374D848`,
    );
  }
  return position;
}

/** The same, undefined where the text is no LSN. */
export function readLsn(text: string): Position | undefined {
  const [, high, low] = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text) ?? [];
  if (high === undefined || low === undefined) return undefined;
  return ((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) as Position;
}

/** A position as the server writes it. */
export function formatLsn(position: bigint): string {
  if (position < 0n || position >= positionLimit) throw new RangeError(`${position} is not a position`);
  return `${(position >> 32n).toString(16)}/${(position & 0xffff_ffffn).toString(16)}`.toUpperCase();
}

export interface SegmentName {
  timeline: number;
  /** Number of the segment since the beginning of the log: position / segment size. */
  number: number;
}

/** Name of a segment of the log: timeline, then the position's upper half, then the segment in it, 8 hex digits each. */
export function formatSegmentName({ timeline, number }: SegmentName, segmentSizeBytes: number): string {
  const perHalf = 2 ** 32 / segmentSizeBytes;
  return [timeline, Math.floor(number / perHalf), number % perHalf].map(hex8).join('');
}

/** Undefined where the name is not one of a segment of this size (pg_wal holds other files too). */
export function parseSegmentName(name: string, segmentSizeBytes: number): SegmentName | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const perHalf = 2 ** 32 / segmentSizeBytes;
  const [timeline, high, low] = [0, 8, 16].map((from) => Number.parseInt(name.slice(from, from + 8), 16));
  if (timeline === undefined || high === undefined || low === undefined) return undefined;
  if (timeline === 0 || low >= perHalf) return undefined;
  return { timeline, number: high * perHalf + low };
}

/** Name of a timeline's folder in the archive and of its .history file. */
export function formatTimeline(timeline: number): string {
  return hex8(timeline);
}

export function segmentStart(number: number, segmentSizeBytes: number): Position {
  return (BigInt(number) * BigInt(segmentSizeBytes)) as Position;
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
