import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import type { Step } from '../operations.ts';
import type { SiteAccess } from './access.ts';

/** The part of the fence that is the machine's own (R21): its network, asked from inside. Gives what it is called. */
export async function testNetwork(
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

/** Throws where the machine reaches something of production although its network is isolated. */
export async function requireNoRoutes(
  { platform }: SiteAccess,
  name: string,
  guest: Guest,
  signal: AbortSignal,
): Promise<void> {
  const routes = await platform.findRoutes(name, guest, signal);
  if (routes.length > 0) throw holeIn(routes);
}

function holeIn(holes: readonly string[]): ClonaError {
  return new ClonaError('fenceFailed', `the network round staging has a hole: ${holes.join(', ')}`, {
    hint: 'nobody is let in; see why with: clona doctor',
    details: { part: 'network', holes },
  });
}
