/** Builds what the server sends; grows by doubling. */
export class Writer {
  #buffer = Buffer.allocUnsafe(4096);
  #at = 0;

  /** What was written. The writer must not be used after that. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  get length(): number {
    return this.#at;
  }

  #room(length: number): number {
    if (this.#at + length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + length));
      this.#buffer.copy(larger, 0, 0, this.#at);
      this.#buffer = larger;
    }
    this.#at += length;
    return this.#at - length;
  }

  u8(...values: number[]): this {
    for (const value of values) {
      const at = this.#room(1);
      this.#buffer[at] = value;
    }
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2); // first, for it may put another buffer there
    this.#buffer.writeUInt16BE(value, at);
    return this;
  }

  u16le(value: number): this {
    const at = this.#room(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** UB2, UB4, UB8. */
  ub(...values: (number | bigint)[]): this {
    for (const value of values) this.#integer(BigInt(value), 0);
    return this;
  }

  /** SB2, SB4: the length carries the sign. */
  sb(value: number): this {
    return this.#integer(BigInt(Math.abs(value)), value < 0 ? 0x80 : 0);
  }

  #integer(value: bigint, sign: number): this {
    const bytes: number[] = [];
    for (let rest = value; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 255n));
    return this.u8(bytes.length | sign, ...bytes);
  }

  /** Bytes with a length before them, in chunks when they are many. */
  bytes(bytes: Uint8Array): this {
    if (bytes.length <= 252) return this.u8(bytes.length).raw(bytes);
    this.u8(254);
    for (let at = 0; at < bytes.length; at += 32_767) {
      const chunk = bytes.subarray(at, at + 32_767);
      this.ub(chunk.length).raw(chunk);
    }
    return this.ub(0);
  }

  text(text: string): this {
    return this.bytes(Buffer.from(text, 'utf8'));
  }

  countedText(text: string): this {
    const bytes = Buffer.from(text, 'utf8');
    this.ub(bytes.length);
    return bytes.length > 0 ? this.bytes(bytes) : this;
  }
}
