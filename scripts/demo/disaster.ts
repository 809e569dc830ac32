import { spawn } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { compareOrders } from '../../examples/erp/writer.ts';
import { launcherFile } from '../../src/cli/launcher.ts';
import { resolveBinaries } from '../../src/databases/postgres/server-binaries.ts';
import { startServer } from '../../src/databases/postgres/server.ts';
import type { Site } from '../../src/site/site.ts';
import type { Disaster, DisasterTold } from './world.ts';

/** Makes production and control state go; disposing brings them back where they were only put aside. */
export type Lose = (signal: AbortSignal) => Promise<AsyncDisposable>;

/**
 * Deletes production and everything clona knows of it, then brings the database back with two commands that are given
 * nothing but the archive's folder, as a stranger would on the day after.
 */
export async function endInDisaster(
  site: Site,
  lose: Lose,
  { journal, folder, signal }: Disaster,
): Promise<DisasterTold> {
  await using _ = await lose(signal);
  const startedAt = performance.now();
  const archive = site.archive.location;
  const catalog = await clona(['catalog', '--archive', archive, '--json'], signal);
  if (!Array.isArray(catalog['backups']) || catalog['backups'].length === 0)
    throw new Error('the archive lists no backup');
  // Root may not run a server: whoever does must be able to pass here.
  await mkdir(join(folder, 'back'), { mode: 0o711 });
  const dataDir = join(folder, 'back', 'data');
  await clona(['restore', '--archive', archive, '--to', dataDir, '--json'], signal);
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  const { uid, gid } = await stat(dataDir);
  const runAs = process.getuid?.() === 0 ? { uid, gid } : undefined;
  const socketDir = join(folder, 's');
  await using server = await startServer({
    binaries: await resolveBinaries({ runAs }),
    dataDir,
    runAs,
    socketDir,
    signal,
  });
  const { ordersCommitted, ordersFound } = await compareOrders({ ...server.address() }, journal);
  return { ordersArchived: ordersCommitted, ordersRestored: ordersFound, seconds };
}

/** A verb in a process of its own, as people call it; what it answers with --json. */
export async function clona(args: readonly string[], signal: AbortSignal): Promise<Record<string, unknown>> {
  const child = spawn(process.execPath, [launcherFile(), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const [out, err, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    }),
  ]);
  if (code !== 0) throw new Error(`clona ${args[0]} ended with ${code}: ${err.trim()}`);
  // One JSON object: the contract of every verb.
  return JSON.parse(out) as Record<string, unknown>;
}
