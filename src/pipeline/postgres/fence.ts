import { requireFence } from '../../databases/postgres/fence/fence.ts';
import { startGuestServer } from '../../databases/postgres/guest-server.ts';
import type { Step } from '../operations.ts';
import { requireNoRoutes, testNetwork } from '../machine/network-fence.ts';
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
      await requireNoRoutes(access, name, guest, signal);
      await startGuestServer(server, { signal });
    });
    const { address } = machine;
    const { parts } = await requireFence({ address, rules: site.staging.fence, signal, onProgress });
    return { fenced: true, parts: [network, ...parts.map(({ name }) => name)] };
  });
}
