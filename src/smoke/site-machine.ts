import { ClonaError } from '../errors.ts';
import { resolveDatabaseAddress } from '../site/address.ts';
import type { Site } from '../site/site.ts';
import type { SmokeMachine } from './machine.ts';

/** The machine of a site as smoke tests reach it. Secrets are read here, late. Throws `machineFailed` when there is none. */
export async function findSmokeMachine(
  site: Site,
  role: 'live' | 'staging',
  name: string,
  signal: AbortSignal,
): Promise<SmokeMachine> {
  if (site.machines.platform !== 'local') {
    throw new ClonaError(
      'usage',
      `clona smoke finds machines of the platform local, not of ${site.machines.platform}`,
      {
        hint: 'a release runs the smoke tests on every platform: clona release',
      },
    );
  }
  const { openLocalMachines } = await import('../machines/local/local-machines.ts');
  const facts = await openLocalMachines({ root: site.machines.root }).describe(name, signal);
  if (facts.role !== role) {
    throw new ClonaError('usage', `the machine "${name}" is ${facts.role}, not ${role}`);
  }
  // Only production may be elsewhere than on its machine: a staging database is always the machine's own.
  const elsewhere = role === 'live' ? await resolveDatabaseAddress(site.database) : undefined;
  const { guest, systemDisk, dataDisk, database } = facts;
  return {
    name,
    role,
    guest,
    systemDisk,
    dataDisk,
    database: elsewhere ?? database,
    httpBase: site.smoke.httpBase ?? null,
  };
}
