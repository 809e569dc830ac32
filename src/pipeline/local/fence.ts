import { requireFence } from '../../databases/postgres/fence/fence.ts';
import { startGuestServer } from '../../databases/postgres/guest-server.ts';
import { ClonaError } from '../../errors.ts';
import type { Step } from '../operations.ts';
import { accessMachine, nameOf, withGuest, type SiteAccess } from './access.ts';

/**
 * Starts the restored database inside its machine and tests the fence round it: the network from inside, the
 * server's own ways out, then the site's list, each cut off by its SQL and tested by its check. Throws `fenceFailed`.
 */
export async function fenceMachine(
  access: SiteAccess,
  name: string,
  step: Step,
): Promise<{ fenced: boolean; parts: string[] }> {
  const { site, machines } = access;
  await machines.powerOn(nameOf(access, name), step.signal);
  const machine = await accessMachine(access, name, step.signal);
  const network = await testNetwork(access, name, machine.facts.isolation, step);
  await withGuest(machine, step.signal, async (_guest, server) =>
    startGuestServer(server, { signal: step.signal }),
  );
  const { parts } = await requireFence({
    address: machine.address,
    rules: site.staging.fence,
    signal: step.signal,
    onProgress: step.onProgress,
  });
  return { fenced: true, parts: [network, ...parts.map(({ name }) => name)] };
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
