import { chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunAs } from '../../src/databases/postgres/server-binaries.ts';
import { nobody } from '../../src/databases/postgres/server-cluster.ts';

/** Who runs servers in tests: ourselves, or nobody when we are root. */
export function testRunAs(): RunAs | undefined {
  return process.getuid?.() === 0 ? nobody : undefined;
}

/** A short folder below the temporary one that the server's user owns: socket paths must stay under 104 bytes. */
export async function makeServerFolder(prefix = 'cl-'): Promise<string> {
  const parent = tmpdir().length > 40 ? '/tmp' : tmpdir();
  const folder = await mkdtemp(join(parent, prefix));
  const runAs = testRunAs();
  if (runAs !== undefined) await chown(folder, runAs.uid, runAs.gid);
  return folder;
}
