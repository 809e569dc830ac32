import { fileURLToPath } from 'node:url';
import { findToolchain, type Toolchain } from '../../src/machines/pulumi/toolchain.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

/** The real engine, or undefined: tests neither download nor build it, they are skipped by name. */
export async function findTestToolchain(): Promise<Toolchain | undefined> {
  try {
    return await findToolchain({
      folder: repository,
      signal: AbortSignal.timeout(60_000),
      mayInstall: process.env['CLONA_TOOLCHAIN'] !== undefined,
      download: { releases: 'http://127.0.0.1:1', checksums: 'http://127.0.0.1:1' },
    });
  } catch {
    return undefined;
  }
}
