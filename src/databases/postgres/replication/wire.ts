/** Messages of the frontend/backend protocol, version 3.0 (the manual's chapter "Message Formats"). */

export interface ServerError {
  severity: string;
  sqlState: string;
  message: string;
  detail: string | undefined;
  hint: string | undefined;
}

export type Row = (string | null)[];

export function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`);
  const body = Buffer.from(`${pairs.join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8, 0);
  head.writeInt32BE(3 << 16, 4);
  return Buffer.concat([head, body]);
}

export function message(type: string, body: Buffer | string): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

/** ErrorResponse and NoticeResponse. */
export function parseError(body: Buffer): ServerError {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  );
  return {
    severity: fields.get('V') ?? fields.get('S') ?? 'ERROR',
    sqlState: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? 'the server gave no reason',
    detail: fields.get('D'),
    hint: fields.get('H'),
  };
}

/** DataRow with every column as text. */
export function parseRow(body: Buffer): Row {
  const row: Row = [];
  let at = 2;
  for (let column = body.readInt16BE(0); column > 0; column -= 1) {
    const length = body.readInt32BE(at);
    at += 4;
    if (length === -1) row.push(null);
    else {
      row.push(body.toString('utf8', at, at + length));
      at += length;
    }
  }
  return row;
}

/** What a session does with what arrives. */
export interface MessageHandler {
  /** A whole message other than CopyData. */
  onMessage: (type: string, body: Buffer) => void;
  /**
   * A piece of one CopyData message, as it comes from the socket (valid only during the call). Returns how many bytes
   * were taken; fewer than given: the rest, and all that follows, is offered again later.
   */
  onCopyBytes: (piece: Buffer, isFirst: boolean, isLast: boolean) => number;
}

const copyData = 'd'.charCodeAt(0);
const headBytes = 5;

/** Cuts the stream of a server into messages. CopyData passes in pieces, so nothing of any size is ever collected. */
export class MessageReader {
  readonly #handler: MessageHandler;
  readonly #head = Buffer.alloc(headBytes);
  #headUsed = 0;
  #left = 0;
  #isFirst = false;
  #collected: Buffer[] = [];
  #inBody = false;

  constructor(handler: MessageHandler) {
    this.#handler = handler;
  }

  /** Returns how many bytes were taken; fewer than given where the handler did not take all. */
  read(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      if (!this.#inBody) {
        at += this.#readHead(chunk, at);
        if (this.#inBody && this.#left === 0) this.#endBody();
        continue;
      }
      const piece = chunk.subarray(at, Math.min(chunk.length, at + this.#left));
      const taken = this.#head[0] === copyData ? this.#passCopy(piece) : this.#collect(piece);
      at += taken;
      this.#left -= taken;
      if (taken < piece.length) break;
      if (this.#left === 0) this.#endBody();
    }
    return at;
  }

  #readHead(chunk: Buffer, at: number): number {
    const count = Math.min(headBytes - this.#headUsed, chunk.length - at);
    chunk.copy(this.#head, this.#headUsed, at, at + count);
    this.#headUsed += count;
    if (this.#headUsed === headBytes) {
      this.#headUsed = 0;
      this.#left = this.#head.readInt32BE(1) - 4;
      this.#inBody = true;
      this.#isFirst = true;
    }
    return count;
  }

  #passCopy(piece: Buffer): number {
    const taken = this.#handler.onCopyBytes(piece, this.#isFirst, piece.length === this.#left);
    if (taken > 0) this.#isFirst = false;
    return taken;
  }

  #collect(piece: Buffer): number {
    this.#collected.push(Buffer.from(piece));
    return piece.length;
  }

  #endBody(): void {
    this.#inBody = false;
    if (this.#head[0] === copyData) return;
    const body = Buffer.concat(this.#collected);
    this.#collected = [];
    this.#handler.onMessage(String.fromCharCode(this.#head[0] ?? 0), body);
  }
}
