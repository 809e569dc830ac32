import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../errors.ts';
import { openGuest } from '../../guest/open.ts';
import type { MachineFacts } from '../../machines/machines.ts';
import type { Work } from '../machine/platform.ts';

const pauseMs = 250;

/**
 * VMware Tools tell an address before the SSH server runs, and after a revert the one of before. Waits until the guest
 * lets us in and its services have started; a foreign host key is thrown at once, the last reason after `limitMs`.
 */
export async function waitForGuest(
  describe: () => Promise<MachineFacts>,
  name: string,
  limitMs: number,
  { signal, onProgress }: Work,
): Promise<void> {
  const until = performance.now() + limitMs;
  for (;;) {
    try {
      const facts = await describe();
      await using guest = await openGuest(facts.guest, signal);
      // What starts late would find a database that is only half restored.
      await guest.runShell(waitForServices, { signal, timeoutMs: Math.max(1000, until - performance.now()) });
      return;
    } catch (error) {
      signal.throwIfAborted();
      const mayPass = error instanceof ClonaError && ['guestFailed', 'machineFailed'].includes(error.kind);
      if (!mayPass || performance.now() > until) throw error;
      onProgress({ step: `wait for ${name}`, state: 'running', detail: error.message });
    }
    await wait(pauseMs, undefined, { signal });
  }
}

/** A guest without systemd has started all of them in order before its SSH server. */
const waitForServices =
  '! command -v systemctl >/dev/null 2>&1 || ! [ -d /run/systemd/system ] || systemctl is-system-running --wait >/dev/null 2>&1 || true';
