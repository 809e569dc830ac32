import type { Duplex } from 'node:stream';
import type { NodeSSH } from 'node-ssh';
import type { Client } from 'ssh2';
import { ClonaError } from '../errors.ts';
import type { CommandOptions, CommandResult, Guest, GuestAddress } from './guest.ts';
import { powerShellOrder, powerShellScript, powerShellText, windowsSftpPath } from './powershell.ts';
import { shCommand, shEnvironment, shScript } from './quote.ts';
import { openSftp, type GuestFiles } from './sftp.ts';
import { createGroupMark, runChannel, type ChannelOrder } from './run-channel.ts';

/** A server allows ten sessions on a connection by default (sshd_config, MaxSessions); some are for SFTP and ending. */
const commandsAtOnce = 6;

/** The guest on an open SSH connection; disposing it closes the connection. */
export function createSshGuest(ssh: NodeSSH, address: GuestAddress): Guest {
  const client = requireClient(ssh);
  let lost: Error | undefined;
  client.on('error', (error) => {
    lost = error;
  });
  let files: Promise<GuestFiles> | undefined;
  const useFiles = async (signal: AbortSignal): Promise<GuestFiles> => {
    signal.throwIfAborted();
    const opening = (files ??= openSftp(
      client,
      address.platform === 'windows' ? windowsSftpPath : undefined,
    ));
    try {
      return await opening;
    } catch (error) {
      files = undefined;
      throw error;
    }
  };
  const enter = createLimiter(commandsAtOnce);
  const run = async (script: string, options: CommandOptions): Promise<CommandResult> =>
    enter(async () =>
      runChannel(client, composeOrder(address.platform, script, options), options, () => lost),
    );
  return {
    platform: address.platform,
    run: async (argv, options) =>
      run(address.platform === 'windows' ? powerShellScript(argv) : shScript(argv), options),
    runShell: async (script, options) =>
      run(address.platform === 'windows' ? powerShellText(script) : script, options),
    readFile: async (path, signal) => (await useFiles(signal)).read(path, signal),
    writeFile: async (path, content, mode, signal) =>
      (await useFiles(signal)).write(path, content, mode, signal),
    upload: async (localPath, path, signal) => (await useFiles(signal)).upload(localPath, path, signal),
    download: async (path, localPath, signal) => (await useFiles(signal)).download(path, localPath, signal),
    list: async (path, signal) => (await useFiles(signal)).list(path, signal),
    forward: async (to, signal) => openForward(client, to, signal),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => {
        client.once('close', () => resolve());
        setTimeout(resolve, 1000).unref();
      });
      ssh.dispose();
      await closed;
    },
  };
}

/** The command line, and what goes through stdin before the caller's own. */
function composeOrder(platform: 'linux' | 'windows', script: string, options: CommandOptions): ChannelOrder {
  const { env = {}, cwd } = options;
  if (platform === 'windows') {
    // OpenSSH on Windows ends a session's processes with it: they are one job object.
    return { ...powerShellOrder(script, { cwd, env }), groupMark: undefined };
  }
  const { text, lines } = shEnvironment(env);
  const groupMark = createGroupMark();
  return { command: shCommand(script, { cwd, envLines: lines, groupMark }), head: text, groupMark };
}

/** At most so many at once; the others wait in order. */
function createLimiter(most: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

async function openForward(
  client: Client,
  to: { host: string; port: number } | { socket: string },
  signal: AbortSignal,
): Promise<Duplex> {
  signal.throwIfAborted();
  const name = 'socket' in to ? to.socket : `${to.host}:${to.port}`;
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const onAnswer = (error: Error | undefined, channel: Duplex): void => {
    if (error === undefined) resolve(channel);
    else reject(error);
  };
  const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  const onClose = (): void => reject(new Error('the connection is closed'));
  signal.addEventListener('abort', onAbort, { once: true });
  client.once('close', onClose);
  try {
    if ('socket' in to) client.openssh_forwardOutStreamLocal(to.socket, onAnswer);
    else client.forwardOut('127.0.0.1', 0, to.host, to.port, onAnswer);
    const channel = await promise;
    const stop = (): void => {
      channel.destroy();
    };
    signal.addEventListener('abort', stop, { once: true });
    channel.once('close', () => signal.removeEventListener('abort', stop));
    return channel;
  } catch (cause) {
    signal.throwIfAborted();
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ClonaError('guestFailed', `${name} cannot be reached inside the guest: ${message}`, { cause });
  } finally {
    signal.removeEventListener('abort', onAbort);
    client.removeListener('close', onClose);
  }
}

function requireClient(ssh: NodeSSH): Client {
  if (ssh.connection === null) throw new ClonaError('guestFailed', 'the SSH connection is already closed');
  return ssh.connection;
}
