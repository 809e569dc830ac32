import { ClonaError } from '../errors.ts';
import type { MachineFacts } from '../machines/machines.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import { resolveDatabaseAddress } from '../site/address.ts';
import type { Site } from '../site/site.ts';
import type { SmokeMachine } from '../smoke/machine.ts';

/**
 * Runs `work` with a machine of a site as smoke tests reach it, whatever its platform; its way in is closed afterwards.
 * Secrets are read here, late. Throws `machineFailed` when there is none.
 */
export async function withSmokeMachine<Result>(
  site: Site,
  role: 'live' | 'staging',
  name: string,
  signal: AbortSignal,
  work: (machine: SmokeMachine) => Promise<Result>,
): Promise<Result> {
  if (site.machines.platform === 'local') {
    const { openLocalMachines } = await import('../machines/local/local-machines.ts');
    const facts = await openLocalMachines({ root: site.machines.root }).describe(name, signal);
    requireRole(facts, role);
    // Only production may be elsewhere than on its machine: a staging database is always the machine's own.
    const elsewhere = role === 'live' ? await resolveDatabaseAddress(site.database) : undefined;
    return work(smokeMachineOf(site, facts, elsewhere ?? facts.database));
  }
  const { openAccess } = await import('./open-access.ts');
  const { withMachine } = await import('./machine/access.ts');
  return withMachine(await openAccess(site), role === 'live' ? 'live' : name, signal, async (machine) => {
    requireRole(machine.facts, role);
    return work(smokeMachineOf(site, machine.facts, machine.address));
  });
}

export function smokeMachineOf(site: Site, facts: MachineFacts, database: DatabaseAddress): SmokeMachine {
  const { name, role, guest, systemDisk, dataDisk } = facts;
  return { name, role, database, guest, systemDisk, dataDisk, httpBase: site.smoke.httpBase ?? null };
}

function requireRole({ name, role }: MachineFacts, wanted: 'live' | 'staging'): void {
  if (role !== wanted) throw new ClonaError('usage', `the machine "${name}" is ${role}, not ${wanted}`);
}
