import type { Duplex, Readable, Writable } from 'node:stream';

/** Where an SSH server listens. A Unix socket reaches a machine whose network is isolated from ours. */
export type SshEndpoint = { kind: 'tcp'; host: string; port: number } | { kind: 'socket'; path: string };

export interface GuestAddress {
  endpoint: SshEndpoint;
  user: string;
  /** File that holds the private key; the key itself never travels through arguments, logs or evidence. */
  privateKeyFile: string;
  /** Pinned host key, as `SHA256:…` (ssh-keygen -l). Another key is refused with `hostKeyChanged`. */
  hostKey: string;
  platform: 'linux' | 'windows';
  /** The host through which it is reached, as ssh's ProxyJump: for an endpoint that only that one can see. */
  via?: GuestAddress | undefined;
}

export interface CommandResult {
  exitCode: number | null;
  /** As Node names them: SIGTERM, SIGKILL … */
  signal: string | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  signal: AbortSignal;
  /** Whole duration; past it the command is ended and `guestFailed` is thrown. Default: none. */
  timeoutMs?: number | undefined;
  cwd?: string | undefined;
  /** Variables for this command alone, sent through standard input or SSH env, never through argv. */
  env?: Readonly<Record<string, string>> | undefined;
  stdin?: Readable | string | undefined;
  /** Each chunk of output while it comes, for progress. */
  onOutput?: ((chunk: string) => void) | undefined;
  /** Where stdout goes instead of into the result. */
  stdoutTo?: Writable | undefined;
}

/**
 * The contract of a guest: an operating system reached over SSH. Every adapter passes test/contracts/guest.ts.
 *
 * - `run` gives the exit code as it is; only what hinders running at all (no connection, time out, wrong host
 *   key) is thrown.
 * - Paths are the guest's own. Arguments are quoted by `quote` of the guest's platform and nowhere else.
 * - Everything obeys the AbortSignal within a second and leaves no process of its own in the guest.
 */
export interface Guest extends AsyncDisposable {
  readonly platform: 'linux' | 'windows';
  run(argv: readonly string[], options: CommandOptions): Promise<CommandResult>;
  /** A text for the guest's own shell (sh, or PowerShell on Windows). */
  runShell(script: string, options: CommandOptions): Promise<CommandResult>;
  readFile(path: string, signal: AbortSignal): Promise<Buffer>;
  /** Writes to a new name beside `path`, then renames. */
  writeFile(path: string, content: Buffer | string, mode: number, signal: AbortSignal): Promise<void>;
  upload(localPath: string, path: string, signal: AbortSignal): Promise<void>;
  download(path: string, localPath: string, signal: AbortSignal): Promise<void>;
  list(path: string, signal: AbortSignal): Promise<string[]>;
  /** A stream to a TCP port or Unix socket as seen from inside the guest. */
  forward(to: { host: string; port: number } | { socket: string }, signal: AbortSignal): Promise<Duplex>;
}
