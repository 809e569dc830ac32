/** Reads what the driver sends: TTC's integers of variable length, strings, keys with values. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.take(1)[0]!;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Error(`the request ends ${length - this.left} bytes too early`);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** UB2, UB4, UB8: a length, then so many bytes, big-endian. */
  ub(): number {
    return Number(this.ubBig());
  }

  ubBig(): bigint {
    const length = this.u8();
    if (length > 8) throw new Error(`an integer of ${length} bytes at ${this.#at}`);
    let value = 0n;
    for (const byte of this.take(length)) value = (value << 8n) | BigInt(byte);
    return value;
  }

  /** Bytes with a length before them; null for 0 and 255. */
  bytes(): Buffer | null {
    const length = this.u8();
    if (length === 0 || length === 255) return null;
    if (length !== 254) return this.take(length);
    const chunks: Buffer[] = [];
    for (let chunk = this.ub(); chunk > 0; chunk = this.ub()) chunks.push(this.take(chunk));
    return Buffer.concat(chunks);
  }

  text(): string {
    return this.bytes()?.toString('utf8') ?? '';
  }

  /** Text after a length of its own (UB4) and again one before the bytes. */
  countedText(): string {
    return this.ub() === 0 ? '' : this.text();
  }

  keyValue(): { key: string; value: string; flags: number } {
    return { key: this.countedText(), value: this.countedText(), flags: this.ub() };
  }
}
