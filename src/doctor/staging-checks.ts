import { ClonaError, toClonaError } from '../errors.ts';
import { failed, ok, warning, type Finding, type Patient } from './check.ts';

/** R21: a clone under the name of production could be taken for it. The site file refuses it; so does doctor. */
export function stagingName({ site }: Patient): Finding[] {
  const { live } = site.machines;
  if (site.staging.name === live.name) {
    return [failed('staging has the name of production', 'set staging.name')];
  }
  return [ok(`staging ${site.staging.name} is not ${live.name}`)];
}

/** R21: whether the isolated network of a clone is a real one here. */
export async function isolation({ site }: Patient): Promise<Finding[]> {
  // On vSphere the vCenter is asked (vsphere-checks.ts).
  if (site.machines.platform === 'vsphere') return [];
  const { canIsolateNetwork } = await import('../machines/local/network.ts');
  const network = await canIsolateNetwork();
  if (network.possible) {
    return [ok('staging gets a network namespace of its own: it reaches nothing but itself')];
  }
  return [
    warning(
      `staging is isolated by configuration only: ${network.reason}`,
      process.platform === 'linux'
        ? 'run clona as root'
        : 'run clona on Linux as root, where it makes a network namespace',
    ),
  ];
}

/** The machine that is to be cloned: there, and running. */
export async function liveMachine({ site, signal }: Patient): Promise<Finding[]> {
  const { platform, root, live } = site.machines;
  // On vSphere it is looked at with the rights that cloning needs (vsphere-checks.ts).
  if (platform !== 'local') return [];
  const { openLocalMachines } = await import('../machines/local/local-machines.ts');
  const facts = await openLocalMachines({ root })
    .describe(live.name, signal)
    .catch((error: unknown) => toClonaError(error));
  if (facts instanceof ClonaError) {
    // Without an address of the database the next check says the same of the machine.
    if (site.database.url === undefined && site.database.host === undefined) return [];
    return [
      warning(
        `${facts.message}: backups work, but there is nothing to clone`,
        'set machines.live.name, or make the machine',
      ),
    ];
  }
  const { power, role } = facts;
  if (role !== 'live') {
    return [failed(`${live.name} is a staging machine, not production`, 'set machines.live.name')];
  }
  if (power === 'off') {
    return [failed(`the machine ${live.name} is off`, 'start it; a backup needs its database', 6)];
  }
  const { chooseMachinesRoot } = await import('../machines/local/reach.ts');
  const chosen = chooseMachinesRoot(root);
  const moved =
    chosen.movedFrom === null ? '' : `, in ${chosen.root}: other users cannot enter ${chosen.movedFrom}`;
  return [ok(`the machine ${live.name} is on${moved}`)];
}
