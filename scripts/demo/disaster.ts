import { spawn } from 'node:child_process';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { compareOrders } from '../../examples/erp/writer.ts';
import { launcherFile } from '../../src/cli/launcher.ts';
import { resolveBinaries } from '../../src/databases/postgres/server-binaries.ts';
import { startServer } from '../../src/databases/postgres/server.ts';
import { destroyLocalMachine } from '../../src/machines/local/destroy.ts';
import { listLocalMachines, openLocalMachines } from '../../src/machines/local/local-machines.ts';
import type { Site } from '../../src/site/site.ts';
import { startProduction } from './production.ts';

export interface Disaster {
  site: Site;
  /** Orders known to be in the archive when the disaster comes: numbers, one a line. */
  journal: string;
  folder: string;
  /** Puts production and control state aside instead of deleting them, and brings them back afterwards. */
  keep: boolean;
  signal: AbortSignal;
}

export interface DisasterTold {
  ordersArchived: number;
  ordersRestored: number;
  seconds: number;
}

/**
 * Deletes production and everything clona knows of it, then brings the database back with two commands that are given
 * nothing but the archive's folder, as a stranger would on the day after.
 */
export async function endInDisaster({
  site,
  journal,
  folder,
  keep,
  signal,
}: Disaster): Promise<DisasterTold> {
  await using _ = keep ? await putAside(site, signal) : await deleteAll(site, signal);
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

async function deleteAll(site: Site, signal: AbortSignal): Promise<AsyncDisposableStack> {
  const { root, live } = site.machines;
  await destroyLocalMachine({ root, name: live.name, force: true }, signal);
  await rm(join(site.folder, '.clona'), { recursive: true, force: true, maxRetries: 5 });
  return new AsyncDisposableStack();
}

/** Takes the power from every machine and moves them and the control state away; disposing brings them back. */
async function putAside(site: Site, signal: AbortSignal): Promise<AsyncDisposableStack> {
  const { root } = site.machines;
  const machines = openLocalMachines({ root });
  const running = (await listLocalMachines({ root })).filter(({ power }) => power === 'on');
  await using back = new AsyncDisposableStack();
  for (const { name } of running) {
    back.defer(async () => startProduction(await machines.describe(name, signal), signal));
    back.defer(async () => machines.powerOn(name, signal));
    await machines.powerOff(name, 0, signal);
  }
  const state = join(site.folder, '.clona');
  const aside = `${state}.aside`;
  await rename(state, aside);
  back.defer(async () => rename(aside, state));
  return back.move();
}

async function clona(args: readonly string[], signal: AbortSignal): Promise<Record<string, unknown>> {
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
