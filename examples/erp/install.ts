import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the installation needs of a machine; a Guest of clona fits. */
export interface ErpGuest {
  run: (
    argv: readonly string[],
    options: { signal: AbortSignal },
  ) => Promise<{ exitCode: number | null; stderr: string }>;
  writeFile: (path: string, content: Buffer, mode: number, signal: AbortSignal) => Promise<void>;
}

const folder = fileURLToPath(new URL('system/', import.meta.url));

/** Puts the program of version 1.9, its service and its VERSION file on a machine's system disk, and starts it. */
export async function installErp(guest: ErpGuest, systemDisk: string, signal: AbortSignal): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const content = await readFile(join(entry.parentPath, entry.name));
    const target = join(systemDisk, entry.parentPath.slice(folder.length), entry.name);
    await mustRun(guest, ['mkdir', '-p', dirname(target)], signal);
    // A packed copy of the example may have lost the right to execute.
    await guest.writeFile(
      target,
      content,
      content.subarray(0, 2).toString() === '#!' ? 0o755 : 0o644,
      signal,
    );
  }
  await mustRun(guest, [join(systemDisk, 'etc/init.d/erp'), 'start'], signal);
}

async function mustRun(guest: ErpGuest, argv: readonly string[], signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } = await guest.run(argv, { signal });
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${exitCode}: ${stderr}`);
}
