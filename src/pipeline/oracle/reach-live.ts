import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import { withMachine, type MachineAccess, type SiteAccess } from '../machine/access.ts';
import { openAccess } from '../open-access.ts';
import { findProduction } from '../production.ts';
import { oracleGuestAddress } from './guest-address.ts';

export type OnLive = <Result>(
  signal: AbortSignal,
  work: (live: MachineAccess) => Promise<Result>,
) => Promise<Result>;

/** LIVE as a virtual machine of the site's; without virtual machines by `database.host` and SSH, as `clona backup` reaches it. */
export async function reachLive(site: Site, access?: SiteAccess): Promise<OnLive> {
  if (access !== undefined || site.machines.platform === 'vsphere') {
    const opened = access ?? (await openAccess(site));
    return async (signal, work) => withMachine(opened, 'live', signal, work);
  }
  return async (signal, work) => work(await liveByHost(site, signal));
}

async function liveByHost(site: Site, signal: AbortSignal): Promise<MachineAccess> {
  const address = await findProduction(site, signal);
  const { host } = site.database;
  const temporary = site.guest?.platform === 'windows' ? String.raw`C:\Windows\Temp` : '/var/tmp';
  return {
    facts: {
      name: site.machines.live.name,
      platform: site.machines.platform,
      role: 'live',
      power: 'on',
      // What only reads the database needs no way into its machine.
      get guest() {
        if (host !== undefined) return oracleGuestAddress(site, host);
        throw new ClonaError(
          'siteInvalid',
          'database.host is missing: RMAN runs on the machine of the database',
        );
      },
      database: address,
      isolation: 'none',
      createdAt: '',
      expiresAt: null,
      systemDisk: temporary,
      dataDisk: temporary,
    },
    door: { address, verify: async () => {}, [Symbol.asyncDispose]: async () => {} },
    address,
    isDatabaseHere: false,
  };
}
