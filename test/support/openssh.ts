import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { rm, writeFile, mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { GuestUnderTest } from '../contracts/guest.ts';
import { makeTestFolder } from './machine.ts';

const sshd = '/usr/sbin/sshd';

/** Why the contract cannot run against OpenSSH here; undefined: it can. */
export function whyNoOpenSsh(): string | undefined {
  if (!existsSync(sshd)) return 'sshd is not installed';
  // Without arguments that it knows it prints its usage.
  if (spawnSync('ssh-keygen', ['-?'], { stdio: 'ignore' }).error !== undefined)
    return 'ssh-keygen is not installed';
  return /nologin|false/.test(userInfo().shell ?? '') ? 'this user has no login shell' : undefined;
}

/** A real sshd on a free loopback port, with three host keys of which the RSA one is pinned. */
export async function startOpenSsh(
  /** Further lines of sshd_config, given its own folder. */
  more: (folder: string) => Promise<string[]> = async () => [],
): Promise<GuestUnderTest> {
  const folder = await makeTestFolder();
  const keys = join(folder, 'keys');
  await mkdir(keys, { mode: 0o700 });
  for (const type of ['ed25519', 'ecdsa', 'rsa', 'client']) {
    const kind = type === 'client' ? 'ed25519' : type;
    execFileSync('ssh-keygen', ['-q', '-t', kind, '-N', '', '-f', join(keys, type)]);
  }
  const port = await freePort();
  const work = join(folder, 'work');
  mkdirSync(work);
  chmodSync(work, 0o755);
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    ...['ed25519', 'ecdsa', 'rsa'].map((type) => `HostKey ${join(keys, type)}`),
    `AuthorizedKeysFile ${join(keys, 'client.pub')}`,
    `PidFile ${join(folder, 'sshd.pid')}`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'Subsystem sftp internal-sftp',
    ...(await more(folder)),
  ];
  await writeFile(join(folder, 'sshd_config'), `${config.join('\n')}\n`);
  const server = spawn(sshd, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => {
    server.once('exit', () => resolve());
  });
  while ((await readFile(join(folder, 'sshd.pid')).catch(() => undefined)) === undefined) {
    if (server.exitCode !== null) throw new Error('sshd does not start');
    await wait(20);
  }
  const listed = execFileSync('ssh-keygen', ['-l', '-f', join(keys, 'rsa.pub')], { encoding: 'utf8' });
  return {
    address: {
      endpoint: { kind: 'tcp', host: '127.0.0.1', port },
      user: userInfo().username,
      privateKeyFile: join(keys, 'client'),
      hostKey: listed.split(' ')[1] ?? '',
      platform: 'linux',
    },
    folder: work,
    [Symbol.asyncDispose]: async () => {
      server.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number }; // it listens on TCP
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
