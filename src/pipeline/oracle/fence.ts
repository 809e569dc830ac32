import { fenceOracleClone } from '../../databases/oracle/fence/fence-clone.ts';
import { withGuest, withMachine, type SiteAccess } from '../machine/access.ts';
import { requireNoRoutes, testNetwork } from '../machine/network-fence.ts';
import { nameOf } from '../machine/access.ts';
import type { Step } from '../operations.ts';
import { withTools } from './sessions.ts';
import { restoreTarget } from './settings.ts';

/**
 * Tests the fence round a restored clone, whose session has been restricted until now: the network from inside, the server's
 * own ways out, the site's list. Only when every part holds does the restriction end. Throws `fenceFailed`.
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
    await withGuest(machine, signal, async (guest) => requireNoRoutes(access, name, guest, signal));
    const target = restoreTarget(site, machine.facts);
    const { fence: rules, services: keepServices } = site.staging;
    const { parts } = await withTools(site, machine, step.key, signal, async (tools) =>
      fenceOracleClone({ tools, target, rules, keepServices, onProgress }),
    );
    return { fenced: true, parts: [network, ...parts.map((part) => part.name)] };
  });
}
