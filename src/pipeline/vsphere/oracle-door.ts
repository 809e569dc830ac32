import { openTcpBridge } from '../../guest/tcp-bridge.ts';
import { openGuest } from '../../guest/open.ts';
import type { MachineFacts } from '../../machines/machines.ts';
import type { Site } from '../../site/site.ts';
import type { MachineDoor } from '../machine/platform.ts';
import { productionAddress, stagingAddress } from '../oracle/settings.ts';
import { requireMachine } from './door.ts';

/**
 * The way into a machine with Oracle: SSH, and through it the listener's port as the machine itself sees it. The driver of
 * Oracle knows no Unix socket, so the near end is a port of this host's loopback, open while the door is.
 */
export async function openOracleDoor(
  site: Site,
  facts: MachineFacts,
  signal: AbortSignal,
): Promise<MachineDoor> {
  await using opened = new AsyncDisposableStack();
  const guest = opened.use(await openGuest(facts.guest, signal));
  await requireMachine(guest, facts, signal);
  const listener = { host: '127.0.0.1', port: facts.database.port };
  const near = opened.use(await openTcpBridge(async () => guest, listener, signal));
  const address =
    facts.role === 'live' ? await productionAddress(site, near) : await stagingAddress(site, near);
  const own = opened.move();
  return {
    address,
    guest,
    verify: async (other, abort) => requireMachine(other, facts, abort),
    [Symbol.asyncDispose]: async () => own.disposeAsync(),
  };
}
