import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { OnProgress } from '../../progress.ts';
import { fillTools } from './toolchain-unpack.ts';

/** Packages of a build from nothing, counted; only for people to see how far it is. */
const aboutPackages = 1500;

/**
 * Builds the engine from its published source by tools/go.mod. The language host has no published module, so it
 * is not among what this brings. Returns why it cannot.
 */
export async function buildEngine(
  version: string,
  tools: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<string | undefined> {
  const module = fileURLToPath(new URL('../../../tools/', import.meta.url));
  if (!existsSync(join(module, 'go.mod'))) return `${module} has no go.mod`;
  return fillTools(tools, signal, async (folder) => {
    const flags = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`;
    const target = join(folder, 'pulumi');
    const argv = ['build', '-v', '-trimpath', '-ldflags', flags, '-o', target];
    const child = spawn('go', [...argv, 'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi'], {
      cwd: module,
      env: { ...env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly -buildvcs=false' },
      signal,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(child, 'exit').catch((error: unknown) => {
      throw isMissing(error) ? new Error('Go is not installed') : error;
    });
    // It is awaited below, after what the build says; until then nobody listens.
    ended.catch(() => {});
    let packages = 0;
    let last = '';
    for await (const line of createInterface({ input: child.stderr })) {
      if (/^[\w.-]+(?:\/[\w.~+-]+)*$/.test(line)) {
        packages += 1;
        const share = Math.min(99, Math.round((packages / aboutPackages) * 100));
        onProgress({ step: '', state: 'running', detail: `${packages} packages, about ${share} %` });
      } else if (line.trim() !== '') last = line;
    }
    const [code] = (await ended) as [number | null]; // of a child that ran
    if (code !== 0) throw new Error(`go build ended with ${code}: ${last}`);
  });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
