import { mkdir, writeFile } from 'node:fs/promises';
import ssh2 from 'ssh2';
import { fingerprint } from '../../guest/open.ts';
import type { MachinePaths } from './layout.ts';

/** Makes the host's key and our key to log in with; returns the host key's fingerprint (`SHA256:…`). */
export async function createKeys(paths: MachinePaths): Promise<string> {
  await mkdir(paths.keys, { recursive: true, mode: 0o700 });
  const host = generateKeys('host');
  const client = generateKeys('clona');
  await writeFile(paths.hostKey, host.private, { mode: 0o600 });
  await writeFile(paths.clientKey, client.private, { mode: 0o600 });
  await writeFile(`${paths.clientKey}.pub`, client.public, { mode: 0o600 });
  const parsed = ssh2.utils.parseKey(host.public);
  if (parsed instanceof Error) throw parsed;
  return fingerprint(parsed.getPublicSSH());
}

/** About one pair in a hundred that ssh2 1.17 makes does not read back (it drops leading zero bytes): made anew. */
export function generateKeys(comment: string): { private: string; public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment });
    const isWhole = [pair.private, pair.public].every(
      (text) => !(ssh2.utils.parseKey(text) instanceof Error),
    );
    if (isWhole) return pair;
  }
}
