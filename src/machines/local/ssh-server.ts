import { spawn, type ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { timingSafeEqual } from 'node:crypto';
import { constants } from 'node:os';
import ssh2, { type AuthContext, type Connection, type ServerChannel, type Session } from 'ssh2';
import { serveSftp } from './ssh-server-sftp.ts';

export interface SshServerSettings {
  /** PEM or OpenSSH text of the host's private key. */
  hostKey: string;
  user: string;
  /** Public keys in OpenSSH's one-line form; nothing but a key lets anybody in. */
  authorizedKeys: readonly string[];
  /** Where commands begin, and HOME. */
  home: string;
  /** The whole environment of every command. */
  env: Readonly<Record<string, string>>;
}

/** How long a command whose client has gone may take to end before it is killed. */
const hangUpGraceMs = 300;

/**
 * The SSH server of a local machine: a login by key, commands, SFTP, and streams to ports and Unix sockets as
 * seen from inside. Commands get a session and process group of their own, as OpenSSH gives them, and are ended
 * when their channel goes while they still run; what a command left behind on purpose (a daemon) stays.
 */
export function createSshServer(settings: SshServerSettings): ssh2.Server {
  const keys = settings.authorizedKeys.map(parsePublicKey);
  const children = new Set<ChildProcess>();
  const server = new ssh2.Server({ hostKeys: [settings.hostKey], ident: 'clona' }, (client) => {
    // Small answers to small questions: held back for each other (Nagle) they would cost 40 ms apiece.
    (client as Connection & { setNoDelay: (on: boolean) => unknown }).setNoDelay(true); // missing in the types
    client.on('authentication', (context) => authenticate(context, settings.user, keys));
    client.on('error', () => {
      // The client is gone or speaks nonsense; `close` follows and ends what it started.
    });
    client.on('session', (accept) => serveSession(accept(), settings, children));
    serveForwarding(client);
  });
  server.on('close', () => {
    for (const child of children) signalGroup(child, 'SIGKILL');
  });
  return server;
}

export function parsePublicKey(text: string): ssh2.ParsedKey {
  const parsed = ssh2.utils.parseKey(text);
  if (parsed instanceof Error) throw parsed;
  return parsed;
}

/** A login by one of these keys, and by nothing else. */
export function authenticate(context: AuthContext, user: string, keys: readonly ssh2.ParsedKey[]): void {
  if (context.method !== 'publickey' || context.username !== user) return context.reject(['publickey']);
  const { key, blob, signature, hashAlgo } = context;
  const known = keys.find((candidate) => sameBytes(candidate.getPublicSSH(), key.data));
  if (known === undefined) return context.reject(['publickey']);
  // Without a signature the client only asks whether this key would do.
  if (signature === undefined || blob === undefined) return context.accept();
  return known.verify(blob, signature, hashAlgo) === true ? context.accept() : context.reject(['publickey']);
}

function sameBytes(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

function serveSession(session: Session, settings: SshServerSettings, children: Set<ChildProcess>): void {
  const env: Record<string, string> = { ...settings.env };
  let child: ChildProcess | undefined;
  session.on('env', (accept, _reject, { key, val }) => {
    // As OpenSSH is shipped: language only; anything else would let a client steer the commands' loader.
    if (/^(LANG|LC_[A-Z]+)$/.test(key)) env[key] = val;
    // Not everybody who asks wants an answer.
    (accept as (() => void) | undefined)?.();
  });
  session.on('pty', (_accept, reject) => (reject as (() => void) | undefined)?.());
  session.on('signal', (accept, _reject, { name }) => {
    if (child !== undefined) signalGroup(child, toSignal(name));
    (accept as (() => void) | undefined)?.();
  });
  const start = (channel: ServerChannel, argv: readonly string[]): void => {
    child = runCommand(channel, argv, env, settings.home);
    children.add(child);
    const finished = child;
    child.once('close', () => children.delete(finished));
  };
  session.on('exec', (accept, _reject, { command }) => start(accept(), ['-c', command]));
  session.on('shell', (accept) => start(accept(), []));
  session.on('sftp', (accept) => serveSftp(accept(), settings.home));
}

function runCommand(
  channel: ServerChannel,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  home: string,
): ChildProcess {
  const child = spawn('/bin/sh', [...argv], { cwd: home, env, detached: true, stdio: 'pipe' });
  let open = true;
  channel.on('error', () => {});
  channel.once('close', () => {
    open = false;
    if (child.exitCode === null && child.signalCode === null) hangUp(child);
  });
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {});
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.once('error', () => {
    if (!open) return;
    channel.exit(127);
    channel.end();
  });
  // `close` comes after both outputs were read to their end, as OpenSSH waits for them.
  child.once('close', (code, signal) => {
    if (!open) return;
    if (signal === null) channel.exit(code ?? 255);
    else channel.exit(signal.replace(/^SIG/, ''), false);
    channel.end();
  });
  return child;
}

function hangUp(child: ChildProcess): void {
  signalGroup(child, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), hangUpGraceMs);
  child.once('exit', () => clearTimeout(timer));
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // it ended in this very moment
  }
}

function toSignal(name: string): NodeJS.Signals {
  const full = `SIG${name}`;
  return full in constants.signals ? (full as NodeJS.Signals) : 'SIGTERM'; // just looked up
}

function serveForwarding(client: Connection): void {
  client.on('tcpip', (accept, reject, { destIP, destPort }) => {
    joinStreams(connect({ host: destIP, port: destPort }), accept, reject);
  });
  client.on('openssh.streamlocal', (accept, reject, { socketPath }) => {
    joinStreams(connect({ path: socketPath }), accept, reject);
  });
}

function joinStreams(socket: Socket, accept: () => ServerChannel, reject: () => void): void {
  let channel: ServerChannel | undefined;
  socket.once('connect', () => {
    channel = accept();
    channel.on('error', () => socket.destroy());
    channel.once('close', () => socket.destroy());
    socket.pipe(channel).pipe(socket);
  });
  socket.once('error', () => {
    if (channel === undefined) reject();
    else channel.destroy();
  });
}
