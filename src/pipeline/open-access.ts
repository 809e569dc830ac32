import { ClonaError } from '../errors.ts';
import type { Site } from '../site/site.ts';
import type { StagingEngine } from './local/staging-machine.ts';
import type { SiteAccess } from './machine/access.ts';
import type { Platform } from './machine/platform.ts';

/** The machines of a site by its platform. `direct` is the demo's way where no Pulumi engine can be had. */
export async function openAccess(site: Site, engine: StagingEngine = 'pulumi'): Promise<SiteAccess> {
  if (site.database.engine === 'oracle' && site.machines.platform === 'local') {
    throw new ClonaError('usage', 'machines of the platform local have no Oracle', {
      hint: 'machines.platform: vsphere; without virtual machines use clona backup, prove and restore',
    });
  }
  const platform = await openPlatform(site, engine);
  return { site, platform, machines: platform.machines };
}

async function openPlatform(site: Site, engine: StagingEngine): Promise<Platform> {
  if (site.machines.platform === 'vsphere') {
    const { openVspherePlatform } = await import('./vsphere/platform.ts');
    return openVspherePlatform(site);
  }
  const { openLocalPlatform } = await import('./local/platform.ts');
  return openLocalPlatform(site, engine);
}
