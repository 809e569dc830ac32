import { requireFence } from '../../databases/postgres/fence/fence.ts';
import { startGuestServer } from '../../databases/postgres/guest-server.ts';
import { ClonaError } from '../../errors.ts';
import type { Step } from '../operations.ts';
import { nameOf, withMachine, type SiteAccess } from '../machine/access.ts';
import { withServer } from './server.ts';

/**
 * Starts the restored database inside its machine and tests the fence round it: the network from inside, the
 * server's own ways out, then the site's list, each cut off by its SQL and tested by its check. Throws `fenceFailed`.
 */
export async function fenceMachine(
  access: SiteAccess,
  name: string,
  step: Step,
): Promise<{ fenced: boolean; parts: string[] }> {
  const { site, platform } = access;
  const { signal, onProgress } = step;
  await platform.start(nameOf(access, name), step);
  return withMachine(access, name, signal, async (machine) => {
    const network = await testNetwork(access, name, machine.facts.isolation, step);
    await withServer(machine, signal, async (guest, server) => {
      const routes = await platform.findRoutes(name, guest, signal);
      if (routes.length > 0) throw holeIn(routes);
      await startGuestServer(server, { signal });
    });
    const { address } = machine;
    const { parts } = await requireFence({ address, rules: site.staging.fence, signal, onProgress });
    return { fenced: true, parts: [network, ...parts.map(({ name }) => name)] };
  });
}

async function testNetwork(
  { machines }: SiteAccess,
  name: string,
  isolation: 'network' | 'configuration' | 'none',
  step: Step,
): Promise<string> {
  if (isolation === 'configuration') return 'network (by configuration only)';
  if (isolation === 'none') throw holeIn(['the machine is not isolated at all']);
  const reached = await machines.probeIsolation(name, step.signal);
  if (reached.length > 0) throw holeIn(reached);
  return 'network';
}

function holeIn(holes: readonly string[]): ClonaError {
  return new ClonaError('fenceFailed', `the network round staging has a hole: ${holes.join(', ')}`, {
    hint: 'nobody is let in; see why with: clona doctor',
    details: { part: 'network', holes },
  });
}
