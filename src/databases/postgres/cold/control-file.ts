import { crc32c } from '../../../archive/crc32c.ts';
import { ClonaError } from '../../../errors.ts';
import type { Position } from '../../../recovery/position.ts';

/** What pg_control says of a cluster (the server's catalog/pg_control.h, 15 to 18). */
export interface ControlFile {
  systemIdentifier: string;
  /** pg_control_version: 1300 up to server 17, 1800 from 18 on. */
  formatVersion: number;
  catalogVersion: number;
  state: ControlState;
  /** Where the last checkpoint's record begins, where its redo begins, and on which timeline. */
  checkpoint: Position;
  redo: Position;
  timeline: number;
  segmentSizeBytes: number;
  blockSizeBytes: number;
  dataChecksums: boolean;
  /** The settings that a server which replays its log must not have lower. */
  settings: Record<string, number>;
}

/** In the words of pg_controldata; the order is the server's own (DBState). */
const states = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const;

export type ControlState = (typeof states)[number];

/** What follows the checkpoint moves from version to version; this constant stands in the middle of it (floatFormat). */
const landmark = 1_234_567.0;

/** Reads pg_control and proves it against its checksum. Throws `databaseFailed` naming `where`. Pure. */
export function parseControlFile(content: Buffer, where: string): ControlFile {
  const length = findLength(content);
  if (length === undefined) throw unreadable(where, 'does not match its checksum');
  const state = states[content.readUInt32LE(16)];
  if (state === undefined) throw unreadable(where, 'names a state that no known server has');
  let at = 120;
  while (at + 48 <= length && content.readDoubleLE(at) !== landmark) at += 8;
  if (at + 48 > length) throw unreadable(where, 'is of a form that is not known');
  const number = (offset: number): number => content.readInt32LE(at + offset);
  return {
    systemIdentifier: content.readBigUInt64LE(0).toString(),
    formatVersion: content.readUInt32LE(8),
    catalogVersion: content.readUInt32LE(12),
    state,
    // Read from the server's own file: positions without further proof.
    checkpoint: content.readBigUInt64LE(32) as Position,
    redo: content.readBigUInt64LE(40) as Position,
    timeline: content.readUInt32LE(48),
    blockSizeBytes: number(8),
    segmentSizeBytes: number(20),
    dataChecksums: number(44) !== 0,
    settings: {
      max_connections: number(-28),
      max_worker_processes: number(-24),
      max_wal_senders: number(-20),
      max_prepared_transactions: number(-16),
      max_locks_per_transaction: number(-12),
    },
  };
}

/** The structure's length differs between versions; its checksum stands right behind what it covers. */
export function findLength(content: Buffer): number | undefined {
  for (let length = 200; length < 500 && length + 4 <= content.length; length += 4) {
    if (content.readUInt32LE(length) === crc32c(content.subarray(0, length))) return length;
  }
  return undefined;
}

function unreadable(where: string, what: string): ClonaError {
  return new ClonaError('databaseFailed', `${where} ${what}`, {
    hint: 'a cluster without a whole pg_control does not start either: see its disk, and restore it',
  });
}
