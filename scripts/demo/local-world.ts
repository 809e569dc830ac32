import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { destroyLocalMachine } from '../../src/machines/local/destroy.ts';
import { listLocalMachines, openLocalMachines } from '../../src/machines/local/local-machines.ts';
import type { Site } from '../../src/site/site.ts';
import { endInDisaster } from './disaster.ts';
import { workOnPostgres } from './people.ts';
import { createProduction, startProduction } from './production.ts';
import { copyExample } from './try.ts';
import type { DemoWorld } from './world.ts';

/** Machines that are folders and processes of this host. `keep`: nothing is deleted, only put aside for a while. */
export async function openLocalWorld(
  siteFolder: string,
  keep: boolean,
  signal: AbortSignal,
): Promise<DemoWorld> {
  const site = await copyExample(siteFolder);
  const { root, live } = site.machines;
  const { facts, address, rows } = await createProduction(root, live.name, signal);
  return {
    site,
    rows,
    people: workOnPostgres(address),
    readVersion: async () => (await readFile(join(facts.systemDisk, 'VERSION'), 'utf8')).trim(),
    bringBack: async (disaster) =>
      endInDisaster(site, async (abort) => (keep ? putAside(site, abort) : deleteAll(site, abort)), disaster),
    [Symbol.asyncDispose]: async () => {
      if (keep) return;
      await destroyLocalMachine({ root, name: live.name, force: true }, AbortSignal.timeout(60_000));
    },
  };
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
