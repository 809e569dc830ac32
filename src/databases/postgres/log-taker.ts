import { encodeTarHeader } from '../../archive/tar-header.ts';
import type { TarFramer } from '../../archive/tar-frames.ts';
import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import { formatLsn, formatSegmentName } from './lsn.ts';
import type { CopyTaker, ReplicationSession } from './replication/session.ts';

export interface LogRange {
  timeline: number;
  from: Position;
  /** Exclusive; what follows in its segment is filled with zeros. */
  until: Position;
  segmentSizeBytes: number;
}

/** XLogData: 'w', the data's position, the log's end, the server's time; then the data. */
const dataHeadBytes = 25;

/** Takes the log of START_REPLICATION into a tar, segment by segment under pg_wal/, as it arrives. */
export class LogTaker implements CopyTaker {
  readonly #replication: ReplicationSession;
  readonly #framer: TarFramer;
  readonly #range: LogRange;
  readonly #head = Buffer.alloc(dataHeadBytes);
  #headUsed = 0;
  /** Position of the next byte wanted. */
  #next: bigint;
  /** What must go into the tar before more data. */
  #owed: Buffer[] = [];
  #isEnded = false;

  constructor(replication: ReplicationSession, framer: TarFramer, range: LogRange) {
    this.#replication = replication;
    this.#framer = framer;
    this.#range = range;
    this.#next = range.from - (range.from % BigInt(range.segmentSizeBytes));
  }

  /** Where replication must start: the beginning of a segment. */
  get firstPosition(): bigint {
    return this.#next;
  }

  take(piece: Buffer, isFirst: boolean, isLast: boolean): number {
    if (isFirst) this.#headUsed = 0;
    let at = 0;
    if (this.#headUsed < dataHeadBytes) {
      at = piece.copy(this.#head, this.#headUsed, 0, Math.min(piece.length, dataHeadBytes - this.#headUsed));
      this.#headUsed += at;
      if (isLast && at === piece.length) this.#endMessage();
      if (this.#headUsed < dataHeadBytes || this.#head[0] !== dataLetter) return piece.length;
      this.#checkPosition();
    }
    if (this.#head[0] !== dataLetter) return piece.length;
    while (at < piece.length && !this.#isEnded) {
      if (!this.#payOwed()) return at;
      const taken = this.#takeData(piece, at);
      if (taken === 0) return at;
      at += taken;
    }
    return piece.length;
  }

  async whenReady(): Promise<void> {
    await this.#framer.whenWritable();
  }

  /** Fills the last segment up. */
  async finish(): Promise<void> {
    if (!this.#isEnded) {
      throw new ClonaError(
        'databaseFailed',
        `the server's log ended at ${formatLsn(this.#next)}, before ${formatLsn(this.#range.until)}`,
      );
    }
    for (const bytes of this.#owed) await this.#framer.writeAll(bytes);
    const size = BigInt(this.#range.segmentSizeBytes);
    let rest = Number((size - (this.#next % size)) % size);
    const zeros = Buffer.alloc(Math.min(rest, 1 << 20));
    for (; rest > 0; rest -= Math.min(rest, zeros.length)) {
      await this.#framer.writeAll(zeros.subarray(0, Math.min(rest, zeros.length)));
    }
  }

  /** Header of the segment that begins here, and an empty mark that it needs no archiving. */
  #beginSegment(): void {
    const { timeline, segmentSizeBytes } = this.#range;
    const number = Number(this.#next / BigInt(segmentSizeBytes));
    const name = formatSegmentName({ timeline, number }, segmentSizeBytes);
    const modifiedAt = new Date();
    const common = { type: 'file', modifiedAt } as const;
    this.#owed.push(
      encodeTarHeader({ ...common, path: `pg_wal/archive_status/${name}.done`, sizeBytes: 0 }),
      encodeTarHeader({ ...common, path: `pg_wal/${name}`, sizeBytes: segmentSizeBytes }),
    );
  }

  #payOwed(): boolean {
    if (
      this.#owed.length === 0 &&
      this.#next % BigInt(this.#range.segmentSizeBytes) === 0n &&
      !this.#isBegun
    ) {
      this.#beginSegment();
      this.#isBegun = true;
    }
    while (this.#owed.length > 0) {
      const [bytes] = this.#owed as [Buffer];
      const taken = this.#framer.write(bytes);
      if (taken < bytes.length) {
        this.#owed[0] = bytes.subarray(taken);
        return false;
      }
      this.#owed.shift();
    }
    return true;
  }

  /** The header of the segment at #next has been made. */
  #isBegun = false;

  #takeData(piece: Buffer, at: number): number {
    const size = BigInt(this.#range.segmentSizeBytes);
    const toSegmentEnd = Number(size - (this.#next % size));
    const toEnd = Number(this.#range.until - this.#next);
    const end = Math.min(piece.length, at + toSegmentEnd, at + toEnd);
    const taken = this.#framer.write(piece.subarray(at, end));
    this.#next += BigInt(taken);
    if (this.#next % size === 0n) this.#isBegun = false;
    if (this.#next === this.#range.until) {
      this.#isEnded = true;
      this.#replication.endCopy();
    }
    return taken;
  }

  #checkPosition(): void {
    const position = this.#head.readBigUInt64BE(1);
    if (position !== this.#next && !this.#isEnded) {
      throw new ClonaError(
        'databaseFailed',
        `the server sends log from ${formatLsn(position)} instead of ${formatLsn(this.#next)}`,
      );
    }
  }

  /** A keepalive ('k', the log's end, the time, "answer me"): a server that hears nothing ends the session. */
  #endMessage(): void {
    if (this.#head[0] !== keepaliveLetter || this.#head[17] !== 1) return;
    const status = Buffer.alloc(34);
    status.write('r', 'latin1');
    for (const place of [1, 9, 17]) status.writeBigUInt64BE(this.#next, place);
    this.#replication.sendCopy(status);
  }
}

const dataLetter = 'w'.charCodeAt(0);
const keepaliveLetter = 'k'.charCodeAt(0);
