import type { CopyTaker } from './replication/session.ts';

/** More than this is not taken from the server before the disk has it. */
const highWaterBytes = 16 * 2 ** 20;

/** 2000-01-01, from which PostgreSQL counts microseconds. */
const postgresEpochMs = Date.UTC(2000, 0, 1);

const logDataHeadBytes = 25;

export interface LogPiece {
  position: bigint;
  bytes: Buffer;
}

/**
 * One START_REPLICATION (the manual's "Streaming Replication Protocol"): cuts XLogData and keepalive messages out of
 * the copy, hands the log out in batches, and answers with standby status updates.
 */
export class LogStream {
  readonly #send: (body: Buffer) => void;
  #queue: LogPiece[] = [];
  #queuedBytes = 0;
  #message: Buffer[] = [];
  #received: bigint;
  #flushed: bigint;
  #serverEnd: bigint;
  #caughtUpAt: Date | undefined;
  #heardAt: Date | undefined;
  #ended = false;
  #wakeReader: (() => void) | undefined;
  #wakeTaker: (() => void) | undefined;

  constructor(send: (body: Buffer) => void, start: bigint) {
    this.#send = send;
    this.#received = start;
    this.#flushed = start;
    this.#serverEnd = start;
  }

  readonly taker: CopyTaker = {
    take: (piece, _isFirst, isLast) => {
      if (this.#queuedBytes > highWaterBytes) return 0;
      this.#message.push(Buffer.from(piece));
      if (isLast) this.#onMessage(Buffer.concat(this.#message.splice(0)));
      return piece.length;
    },
    whenReady: async () => {
      if (this.#queuedBytes <= highWaterBytes) return;
      await new Promise<void>((resolve) => {
        this.#wakeTaker = resolve;
      });
    },
  };

  /** What came since the last call, at the latest after a second with nothing; undefined when the stream is over. */
  async next(signal: AbortSignal): Promise<LogPiece[] | undefined> {
    if (this.#queue.length === 0 && !this.#ended && !signal.aborted) await this.#wake(signal);
    if (this.#queue.length === 0 && (this.#ended || signal.aborted)) return undefined;
    const batch = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#wakeTaker?.();
    return batch;
  }

  /** Everything handed out is on disk now: tells the server, and asks where it is itself. */
  acknowledge(now: Date): void {
    this.#flushed = this.#queue[0]?.position ?? this.#received;
    if (this.#flushed >= this.#serverEnd && this.#heardAt !== undefined) this.#caughtUpAt = this.#heardAt;
    const body = Buffer.alloc(34);
    body.write('r', 0, 'latin1');
    body.writeBigUInt64BE(this.#received, 1);
    body.writeBigUInt64BE(this.#flushed, 9);
    body.writeBigUInt64BE(0n, 17);
    body.writeBigInt64BE(BigInt(now.getTime() - postgresEpochMs) * 1000n, 25);
    body.writeUInt8(1, 33);
    this.#send(body);
  }

  status(now: Date): { flushed: string; serverEnd: string; caughtUpAt: string; at: string } {
    return {
      flushed: String(this.#flushed),
      serverEnd: String(this.#serverEnd),
      caughtUpAt: (this.#caughtUpAt ?? new Date(0)).toISOString(),
      at: now.toISOString(),
    };
  }

  /** The copy is over: whoever waits for more is told. */
  end(): void {
    this.#ended = true;
    this.#wakeReader?.();
  }

  #onMessage(body: Buffer): void {
    const type = body.toString('latin1', 0, 1);
    if (type === 'w') {
      const position = body.readBigUInt64BE(1);
      const bytes = body.subarray(logDataHeadBytes);
      this.#received = position + BigInt(bytes.length);
      this.#hear(body.readBigUInt64BE(9));
      this.#queue.push({ position, bytes });
      this.#queuedBytes += bytes.length;
      this.#wakeReader?.();
    } else if (type === 'k') {
      this.#hear(body.readBigUInt64BE(1));
      if (this.#queue.length === 0 && this.#flushed >= this.#serverEnd) this.#caughtUpAt = this.#heardAt;
      if (body.readUInt8(17) === 1) this.#wakeReader?.();
    }
  }

  #hear(serverEnd: bigint): void {
    this.#serverEnd = serverEnd > this.#serverEnd ? serverEnd : this.#serverEnd;
    this.#heardAt = new Date();
  }

  async #wake(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wakeReader = undefined;
        resolve();
      };
      const timer = setTimeout(done, 1000);
      signal.addEventListener('abort', done, { once: true });
      this.#wakeReader = done;
    });
  }
}
