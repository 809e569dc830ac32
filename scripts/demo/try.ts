import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { placeControl } from '../../src/control/place.ts';
import { stopServer } from '../../src/databases/postgres/server.ts';
import { ClonaError } from '../../src/errors.ts';
import { destroyLocalMachine } from '../../src/machines/local/destroy.ts';
import { listLocalMachines } from '../../src/machines/local/local-machines.ts';
import { loadSite } from '../../src/site/load.ts';
import type { Site } from '../../src/site/site.ts';
import { createProduction, type Production } from './production.ts';

/** The sample ERP in a folder: its site file, kits and smoke tests, as `clona init --from-example erp` writes them. */
export async function copyExample(folder: string): Promise<Site> {
  await cp(fileURLToPath(new URL('../../examples/erp/', import.meta.url)), folder, {
    recursive: true,
    // In the published package every source has its JavaScript beside it.
    filter: (path) =>
      !path.endsWith('.d.ts') && !(path.endsWith('.js') && existsSync(`${path.slice(0, -3)}.ts`)),
  });
  return loadSite(join(folder, 'clona.yaml'));
}

/** A site with LIVE running, to try every verb on; `folder` is new, empty, or has a site file on the platform local. */
export async function startTrial(
  folder: string,
  signal: AbortSignal,
): Promise<{ site: Site; production: Production }> {
  const target = resolve(folder);
  const found = await readdir(target).catch((): string[] => []);
  const hasSite = found.includes('clona.yaml');
  if (found.length > 0 && !hasSite) {
    throw new ClonaError('usage', `${target} holds other things than a site`, {
      hint: 'name a new folder, or one in which clona init has written a clona.yaml',
    });
  }
  const isNew = found.length === 0;
  await mkdir(target, { recursive: true });
  // The machines' own users must be able to pass.
  if (isNew) await chmod(target, 0o711);
  const site = hasSite ? await loadSite(join(target, 'clona.yaml')) : await copyExample(target);
  requireLocal(site);
  const production = await createProduction(site.machines.root, site.machines.live.name, signal);
  for (const place of [site.archive.location, site.archive.mirror]) {
    if (place !== undefined) await mkdir(place, { recursive: true });
  }
  return { site, production };
}

export interface Trial {
  folder: string;
  sites: Site[];
}

/** What a kept demo or a trial left in `folder`. Refuses a site that is not the sample ERP's. */
export async function findTrial(folder: string): Promise<Trial> {
  const target = resolve(folder);
  const sites: Site[] = [];
  for (const place of [target, join(target, 'site')]) {
    const names = await readdir(place).catch((): string[] => []);
    if (names.includes('clona.yaml')) sites.push(await loadSite(join(place, 'clona.yaml')));
  }
  if (sites.length === 0) throw new ClonaError('usage', `there is no site in ${target}`);
  for (const site of sites) requireExample(site);
  return { folder: target, sites };
}

/** Takes machines, control state and the folder itself away, and tells the machines' names. */
export async function removeTrial({ folder, sites }: Trial, signal: AbortSignal): Promise<string[]> {
  const removed: string[] = [];
  for (const { machines, folder: siteFolder } of sites) {
    // A simulated vCenter and its machines have ended with the process that had them.
    const left = machines.platform === 'local' ? await listLocalMachines({ root: machines.root }) : [];
    for (const { name } of left) {
      await destroyLocalMachine({ root: machines.root, name, force: true }, signal);
      removed.push(name);
    }
    // Under a closed folder the control server's files live elsewhere.
    const control = placeControl(join(siteFolder, '.clona')).folder;
    await stopServer({ dataDir: join(control, 'data'), mode: 'immediate' });
    await rm(control, { recursive: true, force: true });
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  return removed;
}

function requireLocal(site: Site): void {
  if (site.machines.platform === 'local') return;
  throw new ClonaError('usage', `${site.file} is not on the platform local`);
}

/** Never somebody's own site: only what the example's machines are called is taken away. */
function requireExample(site: Site): void {
  if (site.machines.live.name === 'erp-live') return;
  throw new ClonaError(
    'usage',
    `${site.file} is not the sample ERP: its LIVE is ${site.machines.live.name}`,
    {
      hint: 'take the machines of a site of your own away by hand',
    },
  );
}
