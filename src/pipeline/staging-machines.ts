import { acquireSiteLock } from '../control/lock.ts';
import { listLocalMachines } from '../machines/local/local-machines.ts';
import { deleteForgottenMachine } from '../machines/local/resource.ts';
import { breakStackLock, destroyStaging } from '../machines/pulumi/staging.ts';
import type { BreakLock } from '../machines/pulumi/staging-options.ts';
import { projectName } from '../machines/pulumi/workspace.ts';
import type { Vim } from '../machines/vsphere/client.ts';
import { sumCosts, type SiteCost } from '../machines/vsphere/costs.ts';
import { loadSite } from '../site/load.ts';
import type { Site } from '../site/site.ts';
import type { Context } from './context.ts';
import { stagingOptions } from './local/staging-machine.ts';
import type { Work } from './machine/platform.ts';

/** A staging machine as its platform shows it, whoever made it. */
export interface FoundStaging {
  name: string;
  role: 'live' | 'staging';
  expiresAt: string | null;
}

/** The staging machines of a site that are there: of a folder, or those in a vCenter that bear the site's mark. */
export async function listStaging(site: Site, signal: AbortSignal): Promise<FoundStaging[]> {
  const { platform, root } = site.machines;
  if (platform === 'local') return listLocalMachines({ root });
  return withVim(site, signal, async (vim) => {
    const { listStagingMachines } = await import('../machines/vsphere/list.ts');
    return listStagingMachines(vim, site.name, signal);
  });
}

/** Takes one away, with its stack; gone already: nothing happens. Of the local ones also those whose stack was lost. */
export async function removeStaging(
  site: Site,
  name: string,
  work: Work,
  breakLock: BreakLock,
): Promise<void> {
  const options = { ...(await stagingOptions(site, name, work)), breakLock };
  if (site.machines.platform === 'local') {
    await destroyStaging(options);
    const place = { root: site.machines.root, name };
    await deleteForgottenMachine(place, { project: projectName, name }, work.signal);
    return;
  }
  const { removeVsphereStaging } = await import('./vsphere/staging-machine.ts');
  const { nameDatabase } = await import('./vsphere/site-settings.ts');
  await removeVsphereStaging(site, options, await nameDatabase(site));
}

/** For `--break-lock`: clears the lock of a stack while no run of clona has the site. */
export async function breakLock(
  sitePath: string,
  { control }: Pick<Context, 'control'>,
  { machine, by, ...work }: Work & { machine: string; by: string },
): Promise<void> {
  await using _lock = await acquireSiteLock(control, { who: by, what: 'break a lock' }, new Date());
  await breakStackLock(await stagingOptions(await loadSite(sitePath), machine, work));
}

/** What the staging machines of every site on this vCenter take of it, the dearest first; null: not on vSphere. */
export async function readCosts(site: Site, signal: AbortSignal): Promise<SiteCost[] | null> {
  if (site.machines.platform === 'local') return null;
  return withVim(site, signal, async (vim) => {
    const { listStagingMachines } = await import('../machines/vsphere/list.ts');
    return sumCosts(await listStagingMachines(vim, undefined, signal));
  });
}

async function withVim<Result>(
  site: Site,
  signal: AbortSignal,
  work: (vim: Vim) => Promise<Result>,
): Promise<Result> {
  const { openVim } = await import('../machines/vsphere/client.ts');
  const { resolveVimAddress } = await import('./vsphere/site-settings.ts');
  await using vim = await openVim(await resolveVimAddress(site, 'clone'), signal);
  return await work(vim);
}
