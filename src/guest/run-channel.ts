import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client, ClientChannel } from 'ssh2';
import { ClonaError } from '../errors.ts';
import { endCommand } from './end-command.ts';
import type { CommandOptions, CommandResult } from './guest.ts';

export interface ChannelOrder {
  command: string;
  /** Goes through stdin before the caller's own input. */
  head: string;
  /** The first line on stderr that begins with it names the command's process group; it is not the caller's. */
  groupMark: string | undefined;
}

export function createGroupMark(): string {
  return `clona-group-${randomBytes(12).toString('hex')}:`;
}

/**
 * Runs one command in a channel of its own. An aborted or timed out command is ended in the guest with its whole
 * process group before this throws.
 */
export async function runChannel(
  client: Client,
  order: ChannelOrder,
  options: CommandOptions,
  lost: () => Error | undefined,
): Promise<CommandResult> {
  const { signal, timeoutMs } = options;
  signal.throwIfAborted();
  const timer = new AbortController();
  const timing =
    timeoutMs === undefined ? undefined : setTimeout(() => timer.abort(timeOutError(timeoutMs)), timeoutMs);
  const ending = AbortSignal.any([signal, timer.signal]);
  try {
    const group = Promise.withResolvers<number | undefined>();
    const { channel, collecting } = await openChannel(client, order, ending, async (opened) =>
      collect(opened, order, options, group.resolve),
    );
    const interrupted = rejectOnAbort(ending);
    try {
      const result = await Promise.race([collecting, interrupted.promise]);
      if (result.exitCode === null && result.signal === null) throw lostError(lost());
      return result;
    } catch (error) {
      await endCommand(client, channel, group.promise);
      throw error;
    } finally {
      interrupted.release();
    }
  } finally {
    clearTimeout(timing);
  }
}

function rejectOnAbort(signal: AbortSignal): { promise: Promise<never>; release: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  // Whoever races it hears it; after the race nobody has to.
  promise.catch(() => {});
  return { promise, release: () => signal.removeEventListener('abort', onAbort) };
}

function lostError(cause: Error | undefined): ClonaError {
  return new ClonaError('guestFailed', 'the connection to the guest was lost while a command ran', { cause });
}

function timeOutError(timeoutMs: number): ClonaError {
  return new ClonaError('guestFailed', `the command did not end within ${timeoutMs / 1000} s`, {
    details: { timeoutMs },
  });
}

/**
 * `collect` is called in the very turn in which the channel opens: a short command's exit code may come in the
 * same packet, and whoever listens later misses it.
 */
async function openChannel(
  client: Client,
  { command, groupMark }: ChannelOrder,
  signal: AbortSignal,
  collect: (channel: ClientChannel) => Promise<CommandResult>,
): Promise<{ channel: ClientChannel; collecting: Promise<CommandResult> }> {
  const { promise, resolve, reject } = Promise.withResolvers<{
    channel: ClientChannel;
    collecting: Promise<CommandResult>;
  }>();
  const interrupted = rejectOnAbort(signal);
  const onClose = (): void => reject(new Error('the connection is closed'));
  client.once('close', onClose);
  try {
    client.exec(command, (error, channel) => {
      if (error !== undefined) return reject(error);
      if (signal.aborted) return abandon(client, channel, groupMark);
      resolve({ channel, collecting: collect(channel) });
    });
    return await Promise.race([promise, interrupted.promise]);
  } catch (cause) {
    signal.throwIfAborted();
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ClonaError('guestFailed', `the guest runs no command: ${message}`, { cause });
  } finally {
    interrupted.release();
    client.removeListener('close', onClose);
  }
}

/** The channel came after its caller had gone. */
function abandon(client: Client, channel: ClientChannel, groupMark: string | undefined): void {
  const group = Promise.withResolvers<number | undefined>();
  const sift = siftGroup(groupMark, group.resolve, () => {});
  channel.stderr.setEncoding('utf8').on('data', sift.take);
  channel.resume();
  void endCommand(client, channel, group.promise);
}

async function collect(
  channel: ClientChannel,
  { head, groupMark }: ChannelOrder,
  { onOutput, stdoutTo, stdin }: CommandOptions,
  onGroup: (group: number) => void,
): Promise<CommandResult> {
  const output = { stdout: '', stderr: '' };
  const keep =
    (key: 'stdout' | 'stderr') =>
    (chunk: string): void => {
      output[key] += chunk;
      onOutput?.(chunk);
    };
  const sift = siftGroup(groupMark, onGroup, keep('stderr'));
  channel.stderr.setEncoding('utf8').on('data', sift.take);
  const ended = new Promise<Pick<CommandResult, 'exitCode' | 'signal'>>((resolve) => {
    let exitCode: number | null = null;
    let signalName: string | null = null;
    channel.once('exit', (code: number | null, name?: string) => {
      exitCode = code;
      signalName = name ?? null;
    });
    channel.once('close', () => {
      sift.end();
      resolve({ exitCode, signal: signalName });
    });
  });
  let sink: Promise<void> = Promise.resolve();
  if (stdoutTo === undefined) channel.setEncoding('utf8').on('data', keep('stdout'));
  else sink = pipeline(readingHalf(channel), stdoutTo);
  const feeding = feed(channel, head, stdin);
  const whole = Promise.all([sink, ended]).then(([, state]) => state);
  // A failing input must be heard at once; an input that nobody reads must hold nothing up.
  const state = await Promise.race([whole, Promise.all([sink, feeding]).then(async () => whole)]);
  return { ...state, ...output };
}

/** Takes the line with the process group out of stderr; what comes before it and after it is the command's. */
function siftGroup(
  mark: string | undefined,
  onGroup: (group: number) => void,
  keep: (text: string) => void,
): { take: (chunk: string) => void; end: () => void } {
  let waiting = mark === undefined ? undefined : '';
  return {
    take: (chunk) => {
      if (waiting === undefined || mark === undefined) return keep(chunk);
      waiting += chunk;
      const start = waiting.indexOf(mark);
      const end = start === -1 ? -1 : waiting.indexOf('\n', start);
      if (end === -1) return;
      onGroup(Number(waiting.slice(start + mark.length, end)));
      const rest = waiting.slice(0, start) + waiting.slice(end + 1);
      waiting = undefined;
      if (rest !== '') keep(rest);
    },
    end: () => {
      if (waiting !== undefined && waiting !== '') keep(waiting);
      waiting = undefined;
    },
  };
}

/** `pipeline` would end the whole channel, stdin included, when stdout is done; this is its reading half alone. */
function readingHalf(channel: ClientChannel): Readable {
  return Readable.from(channel.iterator({ destroyOnReturn: false }), { objectMode: false });
}

/** The command may end without reading its input: that is its right, and its exit code tells the rest. */
async function feed(
  channel: ClientChannel,
  head: string,
  stdin: Readable | string | undefined,
): Promise<void> {
  if (head !== '') channel.write(head);
  if (stdin === undefined || typeof stdin === 'string') {
    channel.end(stdin ?? '');
    return;
  }
  const closed = new AbortController();
  channel.once('close', () => closed.abort());
  try {
    await pipeline(stdin, channel, { signal: closed.signal });
  } catch (error) {
    if (closed.signal.aborted) return;
    throw error;
  }
}
