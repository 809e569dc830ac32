import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { NodeSSH } from 'node-ssh';
import type { ConnectConfig, ServerHostKeyAlgorithm } from 'ssh2';
import { ClonaError } from '../errors.ts';
import type { Guest, GuestAddress } from './guest.ts';
import { createSshGuest } from './ssh-guest.ts';

const connectTimeoutMs = 15_000;

/** AES-GCM first: processors have instructions for it, and restores send gigabytes. */
const ciphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
] as const;

/** One host has a key of each family and offers the one that is asked for first; the pinned one may be any. */
const hostKeyFamilies: readonly (readonly ServerHostKeyAlgorithm[])[] = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256'],
];

/**
 * Opens a guest over SSH. Throws `hostKeyChanged` where the pinned key is not among the host's keys, and
 * `guestFailed` where nobody answers within 15 s, the key is refused, or the private key cannot be read.
 */
export async function openGuest(address: GuestAddress, signal: AbortSignal): Promise<Guest> {
  if (address.via === undefined) return openThrough(address, signal, () => openSocket(address, signal));
  const jump = await openGuest(address.via, signal);
  // A stream obeys its signal as long as it lives; ours counts only until the guest is open.
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const guest = await openThrough(address, signal, () => forwardThrough(jump, address, stop.signal));
    return {
      ...guest,
      async [Symbol.asyncDispose]() {
        await guest[Symbol.asyncDispose]();
        await jump[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await jump[Symbol.asyncDispose]();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** What the jump host sees at the guest's endpoint; it gets no key of ours and reads nothing: SSH runs within SSH. */
async function forwardThrough(jump: Guest, address: GuestAddress, signal: AbortSignal): Promise<Duplex> {
  const { endpoint } = address;
  try {
    return await jump.forward(
      endpoint.kind === 'tcp' ? { host: endpoint.host, port: endpoint.port } : { socket: endpoint.path },
      signal,
    );
  } catch (cause) {
    signal.throwIfAborted();
    throw new ClonaError('guestFailed', `${nameEndpoint(address)} cannot be reached through the jump host`, {
      cause,
      hint: 'is the machine on, its SSH server running, and has the jump host a leg in its network?',
    });
  }
}

async function openThrough(
  address: GuestAddress,
  signal: AbortSignal,
  open: () => Promise<Duplex>,
): Promise<Guest> {
  signal.throwIfAborted();
  const privateKey = await readFile(address.privateKeyFile, 'utf8').catch((cause: unknown) => {
    throw new ClonaError('guestFailed', `the private key ${address.privateKeyFile} cannot be read`, {
      cause,
    });
  });
  const offered: string[] = [];
  for (const serverHostKey of hostKeyFamilies) {
    const outcome = await tryFamily(address, privateKey, serverHostKey, await open(), signal);
    if (outcome.kind === 'open') return createSshGuest(outcome.ssh, address);
    if (outcome.kind === 'foreign') offered.push(outcome.hostKey);
  }
  throw new ClonaError('hostKeyChanged', `the host key of ${nameEndpoint(address)} is not the pinned one`, {
    hint: 'if the machine was rebuilt on purpose, pin its new key; if not, somebody may stand in between',
    details: { pinned: address.hostKey, offered },
  });
}

/** For people: where a guest listens. */
export function nameEndpoint({ endpoint, user }: GuestAddress): string {
  return endpoint.kind === 'tcp' ? `${user}@${endpoint.host}:${endpoint.port}` : `${user}@${endpoint.path}`;
}

type Outcome = { kind: 'open'; ssh: NodeSSH } | { kind: 'foreign'; hostKey: string } | { kind: 'absent' };

async function tryFamily(
  address: GuestAddress,
  privateKey: string,
  serverHostKey: readonly ServerHostKeyAlgorithm[],
  socket: Duplex,
  signal: AbortSignal,
): Promise<Outcome> {
  let seen: string | undefined;
  const stop = (): void => {
    socket.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const ssh = new NodeSSH();
    await ssh.connect({
      ...clientSettings(address, privateKey),
      sock: socket,

      algorithms: { serverHostKey: [...serverHostKey], cipher: [...ciphers] },
      hostVerifier: (key: Buffer): boolean => {
        seen = fingerprint(key);
        return seen === address.hostKey;
      },
    });
    return { kind: 'open', ssh };
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    if (seen !== undefined && seen !== address.hostKey) return { kind: 'foreign', hostKey: seen };
    const message = cause instanceof Error ? cause.message : String(cause);
    if (/no matching host key format/i.test(message)) return { kind: 'absent' };
    throw new ClonaError('guestFailed', `${nameEndpoint(address)} does not let us in: ${message}`, {
      cause,
      hint: /authentication/i.test(message) ? 'is the public key among those the guest accepts?' : undefined,
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function clientSettings(address: GuestAddress, privateKey: string): ConnectConfig & { privateKey: string } {
  return {
    username: address.user,
    privateKey,
    tryKeyboard: false,
    readyTimeout: connectTimeoutMs,
    // A machine that is gone without a word is noticed within 15 s.
    keepaliveInterval: 5000,
    keepaliveCountMax: 3,
    // Forwarding to a Unix socket is an extension of OpenSSH that other servers know too.
    strictVendor: false,
  };
}

/** SHA256:… as `ssh-keygen -l` prints it. `key` is the public key blob of the SSH protocol. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

async function openSocket(address: GuestAddress, signal: AbortSignal): Promise<Socket> {
  const { endpoint } = address;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket =
    endpoint.kind === 'tcp'
      ? connect({ host: endpoint.host, port: endpoint.port, noDelay: true })
      : connect({ path: endpoint.path });
  const timer = setTimeout(() => {
    socket.destroy(new Error(`no answer within ${connectTimeoutMs / 1000} s`));
  }, connectTimeoutMs);
  const stop = (): void => {
    socket.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  };
  signal.addEventListener('abort', stop, { once: true });
  socket.once('connect', () => resolve(socket));
  socket.once('error', reject);
  try {
    return await promise;
  } catch (cause) {
    signal.throwIfAborted();
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ClonaError('guestFailed', `${nameEndpoint(address)} cannot be reached: ${message}`, {
      cause,
      hint: 'is the machine on, and its SSH server running?',
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    socket.removeListener('error', reject);
    // Whatever comes later is the SSH client's to hear; without a listener it would end the process.
    socket.on('error', () => {});
  }
}
