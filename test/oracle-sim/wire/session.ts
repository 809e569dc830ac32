import type { Socket } from 'node:net';
import { checkPassword, readAuth, writeChallenge, writeWelcome, type Challenge } from './auth.ts';
import type { Account, Backend, BackendSession } from './backend.ts';
import { CallHandler } from './calls.ts';
import { parseConnectData } from './connect-data.ts';
import { messageType, writeEnd, writeStatus } from './messages.ts';
import { writeDataTypes, writeProtocol } from './negotiate.ts';
import {
  acceptPacket,
  dataPackets,
  endOfFile,
  endOfRequest,
  markerPacket,
  markers,
  packetType,
  PacketSplitter,
  readConnect,
  refusePacket,
  type Packet,
} from './packets.ts';
import { Reader } from './reader.ts';
import { functions, readPiggyback } from './requests.ts';
import { OraError } from './values.ts';
import { Writer } from './writer.ts';

/** What tests make go wrong on the way: asked before every call of a session that is logged on. */
export interface WireFaults {
  /** 'drop' closes the connection without an answer, otherwise how long the answer waits. */
  beforeCall(call: number): { drop: boolean; waitMs: number };
}

/** One connection: from CONNECT to the end of its socket. */
export class WireSession {
  readonly #socket: Socket;
  readonly #backend: Backend;
  readonly #faults: WireFaults;
  readonly #splitter = new PacketSplitter();
  #sdu = 8192;
  #awaitsConnectData = false;
  #request: Buffer[] = [];
  #challenge: { challenge: Challenge; account: Account | null } | null = null;
  #session: BackendSession | null = null;
  #calls: CallHandler | null = null;
  #running: AbortController | null = null;
  #work: Promise<void> = Promise.resolve();

  constructor(socket: Socket, backend: Backend, faults: WireFaults, onEnd: (ended: WireSession) => void) {
    this.#socket = socket;
    this.#backend = backend;
    this.#faults = faults;
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('close', () => {
      this.#close();
      onEnd(this);
    });
  }

  get sessionId(): number | null {
    return this.#session?.id ?? null;
  }

  /** Breaks the connection without a word. */
  end(): void {
    this.#close();
    this.#socket.destroy();
  }

  #close(): void {
    this.#running?.abort();
    this.#session?.rollback();
    this.#session?.close();
    this.#session = null;
  }

  #take(chunk: Buffer): void {
    try {
      for (const packet of this.#splitter.push(chunk)) this.#takePacket(packet);
    } catch {
      this.#socket.destroy(); // what speaks no TNS gets no answer
    }
  }

  #takePacket({ type, bytes }: Packet): void {
    if (type === packetType.connect) return this.#connect(bytes);
    if (type === packetType.marker) return this.#takeMarker(bytes[10]!);
    if (type !== packetType.data) throw new Error(`packet type ${type}`);
    const flags = bytes.readUInt16BE(8);
    if (this.#awaitsConnectData) return this.#answerConnect(bytes.toString('ascii', 10));
    if ((flags & endOfFile) !== 0) {
      this.#socket.end();
      return;
    }
    this.#request.push(bytes.subarray(10));
    if ((flags & endOfRequest) === 0) return;
    const request = Buffer.concat(this.#request);
    this.#request = [];
    this.#work = this.#work.then(() => this.#answer(request));
  }

  #connect(bytes: Buffer): void {
    const { sdu, connectData } = readConnect(bytes);
    this.#sdu = sdu;
    this.#awaitsConnectData = connectData === null;
    if (connectData !== null) this.#answerConnect(connectData);
  }

  #answerConnect(text: string): void {
    this.#awaitsConnectData = false;
    const refusal = this.#backend.listen(parseConnectData(text));
    if (refusal !== 0) {
      this.#socket.end(refusePacket(refusal));
      return;
    }
    this.#splitter.large = true;
    this.#socket.write(acceptPacket(this.#sdu));
  }

  /** A break ends what runs; the client then asks for a reset and gets ORA-01013. */
  #takeMarker(marker: number): void {
    if (marker === markers.interrupt) {
      this.#running?.abort();
      this.#socket.write(markerPacket(markers.break));
      return;
    }
    if (marker !== markers.reset) return;
    this.#request = [];
    this.#work = this.#work.then(() => this.#confirmReset());
  }

  #confirmReset(): void {
    const writer = new Writer();
    const error = new OraError(1013, 'user requested cancel of current operation');
    writeEnd(writer, { error, inTransaction: this.#session?.inTransaction ?? false });
    this.#socket.write(markerPacket(markers.reset));
    this.#send(writer);
  }

  #send(writer: Writer): void {
    if (this.#socket.writable) this.#socket.write(dataPackets(writer.finish(), this.#sdu));
  }

  async #answer(request: Buffer): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    try {
      const writer = new Writer();
      if (!(await this.#handle(new Reader(request), writer, running.signal))) return;
      if (!running.signal.aborted) this.#send(writer);
    } catch (error) {
      if (running.signal.aborted) return;
      const writer = new Writer();
      const inTransaction = this.#session?.inTransaction ?? false;
      writeEnd(writer, { error: error instanceof OraError ? error : mistake(error), inTransaction });
      this.#send(writer);
    } finally {
      this.#running = null;
    }
  }

  /** false: no answer goes out. */
  async #handle(reader: Reader, writer: Writer, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const type = reader.u8();
      if (type === messageType.protocol) writeProtocol(writer, this.#backend.identity());
      else if (type === messageType.dataTypes) writeDataTypes(writer, this.#backend.identity());
      else if (type === messageType.piggyback) {
        this.#calls?.takePiggyback(readPiggyback(reader));
        continue;
      } else if (type === messageType.function) return this.#call(reader, writer, signal);
      else throw new Error(`message type ${type} is not simulated`);
      return true;
    }
  }

  async #call(reader: Reader, writer: Writer, signal: AbortSignal): Promise<boolean> {
    const code = reader.u8();
    reader.u8();
    if (code === functions.authOne || code === functions.authTwo) {
      this.#authenticate(code, reader, writer);
      return true;
    }
    if (this.#calls === null) throw new OraError(1012, 'not logged on');
    const { drop, waitMs } = this.#faults.beforeCall(this.#calls.count());
    if (drop) {
      this.#socket.destroy();
      return false;
    }
    if (waitMs > 0) await waitFor(waitMs, signal);
    await this.#calls.answer(code, reader, writer, signal);
    return true;
  }

  #authenticate(code: number, reader: Reader, writer: Writer): void {
    const { user, privilege, withPassword, pairs } = readAuth(reader);
    if (code === functions.authOne) {
      const account = this.#backend.findAccount(user);
      this.#challenge = { challenge: writeChallenge(writer, account), account };
      writeStatus(writer, false);
      return;
    }
    const { challenge, account } = this.#challenge ?? { challenge: null, account: null };
    const shared = challenge !== null && withPassword ? checkPassword(challenge, account, pairs) : null;
    if (shared === null || account === null) {
      throw new OraError(1017, 'invalid username/password; logon denied');
    }
    this.#session = this.#backend.logOn(account, privilege);
    this.#calls = new CallHandler(this.#session);
    writeWelcome(writer, shared, this.#backend.identity(), this.#session);
    writeStatus(writer, false);
  }
}

/** A mistake of the simulator, or something it does not simulate, must be seen as what it is. */
function mistake(error: unknown): OraError {
  const text = error instanceof Error ? error.message : String(error);
  return new OraError(7445, `exception encountered: the simulator does not manage this: ${text}`);
}

async function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new OraError(1013, 'user requested cancel of current operation'));
    });
  });
}
