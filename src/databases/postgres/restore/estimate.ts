import type { BackupHeader } from '../../../archive/format.ts';
import { ClonaError } from '../../../errors.ts';

/** What a restore is going to take, told before its first byte. */
export interface Estimate {
  /** Bytes the target's file system must have free. */
  neededBytes: number;
  freeBytes: number;
  backupBytes: number;
  logBytes: number;
  seconds: number;
}

/** Bytes per second, as an earlier restore measured them. */
export interface MeasuredSpeed {
  unpack: number;
  redo: number;
}

/** Careful guesses for a first time: a slow disk, and one replaying process. */
const guessedSpeed: MeasuredSpeed = { unpack: 200 * 2 ** 20, redo: 60 * 2 ** 20 };

/** Log that lies ready for the server at once (log-feed.ts), and what it keeps of it until the next restartpoint. */
const logReserveBytes = 5 * 2 ** 30;
/** Share kept free for what the server itself writes. */
const spareShare = 0.05;
const serverStartSeconds = 3;

export function estimateRestore(
  header: BackupHeader,
  segments: number,
  segmentSizeBytes: number,
  freeBytes: number,
  presentBytes: number,
  speed: MeasuredSpeed = guessedSpeed,
): Estimate {
  const backupBytes = header.rawBytes;
  const logBytes = segments * segmentSizeBytes;
  const spareBytes = Math.max(64 * 2 ** 20, Math.ceil(backupBytes * spareShare));
  return {
    neededBytes: Math.max(0, backupBytes - presentBytes) + Math.min(logBytes, logReserveBytes) + spareBytes,
    freeBytes,
    backupBytes,
    logBytes,
    seconds: Math.ceil(backupBytes / speed.unpack + logBytes / speed.redo + serverStartSeconds),
  };
}

export function refuseWithoutSpace({ neededBytes, freeBytes }: Estimate, target: string): void {
  if (neededBytes <= freeBytes) return;
  throw new ClonaError(
    'diskFull',
    `${target} needs ${mebibytes(neededBytes)} MiB and its disk has ${mebibytes(freeBytes)} MiB free`,
    { hint: 'free space there, or restore to another disk', details: { neededBytes, freeBytes } },
  );
}

export function mebibytes(bytes: number): string {
  return Math.ceil(bytes / 2 ** 20).toString();
}
