import { ClonaError } from '../../../errors.ts';
import type { DatabaseAddress } from '../../database.ts';
import { describeAddress } from '../connect.ts';
import { requestCancel, usesTls } from '../cancel.ts';
import { Authenticator } from './authentication.ts';
import { openByteSource, type ByteSource } from './socket.ts';
import { message, MessageReader, parseError, parseRow, startupMessage, type Row } from './wire.ts';

/** Takes the CopyData of a command. */
export interface CopyTaker {
  /** See MessageHandler.onCopyBytes. */
  take: (piece: Buffer, isFirst: boolean, isLast: boolean) => number;
  /** Awaited when `take` did not take all; then the rest is offered. */
  whenReady: () => Promise<void>;
}

interface RunningCommand {
  results: Row[][];
  taker: CopyTaker | undefined;
  error: Error | undefined;
  /** The copy goes both ways (START_REPLICATION): the server waits for our end of it, too. */
  copiesBothWays: boolean;
  resolve: (results: Row[][]) => void;
  reject: (error: Error) => void;
}

const defaultTimeoutMs = 10_000;

/** Opens a physical replication session. The role needs REPLICATION, and pg_hba a line for `replication`. */
export async function openReplication(
  address: DatabaseAddress,
  signal?: AbortSignal,
  timeoutMs: number = defaultTimeoutMs,
): Promise<ReplicationSession> {
  return openSession(address, { replication: 'true' }, signal, timeoutMs);
}

/** A plain session whose COPY TO STDOUT passes in pieces, as that of a replication session does. */
export async function openCopySession(
  address: DatabaseAddress,
  signal?: AbortSignal,
  timeoutMs: number = defaultTimeoutMs,
): Promise<ReplicationSession> {
  return openSession(address, { database: address.database }, signal, timeoutMs);
}

async function openSession(
  address: DatabaseAddress,
  mode: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
  timeoutMs: number,
): Promise<ReplicationSession> {
  signal?.throwIfAborted();
  const session = new ReplicationSession(address, signal);
  try {
    await session.open(mode, timeoutMs);
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
  return session;
}

/**
 * A walsender session (the manual's "Streaming Replication Protocol"). One command at a time. Aborting the signal
 * cancels the command at the server and closes the session.
 */
export class ReplicationSession implements AsyncDisposable {
  readonly #address: DatabaseAddress;
  readonly #signal: AbortSignal | undefined;
  readonly #authenticator: Authenticator;
  readonly #reader: MessageReader;
  #source: ByteSource | undefined;
  #command: RunningCommand | undefined;
  #failure: Error | undefined;
  #key: { processId: number; secret: number } | undefined;

  constructor(address: DatabaseAddress, signal: AbortSignal | undefined) {
    this.#address = address;
    this.#signal = signal;
    this.#authenticator = new Authenticator(address.user, address.password);
    this.#reader = new MessageReader({
      onMessage: (type, body) => this.#onMessage(type, body),
      onCopyBytes: (piece, isFirst, isLast) => {
        const { taker, error } = this.#command ?? {};
        return taker === undefined || error !== undefined ? piece.length : taker.take(piece, isFirst, isLast);
      },
    });
  }

  /** Called once, by the functions above. */
  async open(mode: Readonly<Record<string, string>>, timeoutMs: number): Promise<void> {
    const take = (chunk: Buffer): boolean => this.#read(chunk);
    this.#source = await openByteSource(this.#address, take, timeoutMs, this.#signal);
    this.#source.socket.on('error', (error) => this.#fail(lostSession(this.#address, error)));
    this.#source.socket.on('close', () => this.#fail(lostSession(this.#address)));
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    const late = setTimeout(() => {
      this.#fail(lostSession(this.#address, new Error('no answer in time')));
    }, timeoutMs);
    try {
      await this.#begin(
        startupMessage({ user: this.#address.user, application_name: 'clona', ...mode }),
        undefined,
      );
    } finally {
      clearTimeout(late);
    }
  }

  /** Runs one command and returns its result sets' rows, as text. CopyData goes to `taker`. */
  async run(command: string, taker?: CopyTaker): Promise<Row[][]> {
    return this.#begin(message('Q', `${command}\0`), taker);
  }

  /** Sends CopyData to the server during START_REPLICATION. */
  sendCopy(body: Buffer): void {
    this.#source?.socket.write(message('d', body));
  }

  /** Ends our side of the copy; `run` returns when the server has ended its own. */
  endCopy(): void {
    this.#source?.socket.write(message('c', ''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    const socket = this.#source?.socket;
    socket?.removeAllListeners('close');
    if (this.#failure === undefined && this.#command === undefined) socket?.end(message('X', ''));
    else socket?.destroy();
    this.#failure ??= new ClonaError('internal', 'the replication session is closed');
  }

  async #begin(bytes: Buffer, taker: CopyTaker | undefined): Promise<Row[][]> {
    if (this.#failure !== undefined) throw this.#failure;
    return new Promise((resolve, reject) => {
      this.#command = { results: [], taker, error: undefined, copiesBothWays: false, resolve, reject };
      this.#source?.socket.write(bytes);
    });
  }

  #onMessage(type: string, body: Buffer): void {
    const command = this.#command;
    if (type === 'R') {
      const reply = this.#authenticator.answer(body);
      if (reply !== undefined) this.#source?.socket.write(reply);
    } else if (type === 'K') {
      this.#key = { processId: body.readInt32BE(0), secret: body.readInt32BE(4) };
    } else if (type === 'E') {
      const said = serverError(body, this.#address);
      if (command !== undefined) command.error ??= said;
      // Before its first answer the server hangs up after an error; without a command there is nobody to tell.
      if (command === undefined || this.#key === undefined) this.#fail(said);
    } else if (type === 'W') {
      if (command !== undefined) command.copiesBothWays = true;
    } else if (type === 'c') {
      if (command?.copiesBothWays === true) this.endCopy();
    } else if (type === 'T') {
      command?.results.push([]);
    } else if (type === 'D') {
      command?.results.at(-1)?.push(parseRow(body));
    } else if (type === 'Z') {
      this.#command = undefined;
      if (command?.error !== undefined) command.reject(command.error);
      else command?.resolve(command.results);
    }
  }

  #read(chunk: Buffer): boolean {
    try {
      const taken = this.#reader.read(chunk);
      if (taken === chunk.length) return true;
      void this.#continueLater(Buffer.from(chunk.subarray(taken)));
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    return false;
  }

  async #continueLater(rest: Buffer): Promise<void> {
    try {
      let left = rest;
      while (left.length > 0 && this.#failure === undefined) {
        await this.#command?.taker?.whenReady();
        left = left.subarray(this.#reader.read(left));
      }
      this.#source?.resume();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  readonly #onAbort = (): void => {
    if (this.#key !== undefined && !usesTls(this.#address)) {
      requestCancel(this.#address, this.#key.processId, this.#key.secret);
    }
    const reason: unknown = this.#signal?.reason;
    this.#fail(reason instanceof Error ? reason : new ClonaError('interrupted', 'interrupted'));
  };

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#source?.socket.destroy();
    this.#command?.reject(this.#failure);
    this.#command = undefined;
  }
}

function serverError(body: Buffer, address: DatabaseAddress): ClonaError {
  const { message: said, detail, hint, sqlState } = parseError(body);
  const refused = sqlState.startsWith('28') || sqlState === '42501';
  return new ClonaError('databaseFailed', `the database at ${describeAddress(address)} says: ${said}`, {
    cause: detail === undefined ? undefined : new Error(detail),
    hint:
      hint ??
      (refused
        ? `user ${address.user} needs REPLICATION and a line for replication in pg_hba.conf; without it take a hot backup`
        : undefined),
    details: { sqlState },
  });
}

function lostSession(address: DatabaseAddress, cause?: Error): ClonaError {
  const because = cause === undefined ? '' : `: ${cause.message}`;
  return new ClonaError(
    'databaseFailed',
    `the replication session with ${describeAddress(address)} was lost${because}`,
    {
      cause,
    },
  );
}
