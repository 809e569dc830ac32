import { createLocalMachine } from '../../../src/machines/local/create.ts';
import { destroyLocalMachine } from '../../../src/machines/local/destroy.ts';
import { listLocalMachines } from '../../../src/machines/local/local-machines.ts';
import { canIsolateNetwork } from '../../../src/machines/local/network.ts';
import { findExpired } from '../../../src/machines/expiry.ts';
import { testMachinesContract, type PlatformUnderTest } from '../../contracts/machines.ts';
import { createTestMachine, listLeftovers } from '../../support/machine.ts';

const { signal } = new AbortController();
const network = await canIsolateNetwork();

testMachinesContract('local', startPlatform, network.possible ? undefined : network.reason);

async function startPlatform(): Promise<PlatformUnderTest> {
  const live = await createTestMachine({ role: 'live' });
  {
    await using guest = await live.openGuest();
    await guest.writeFile('source.txt', 'from production', 0o644, signal);
  }
  const { root } = live;
  const destroy = async (name: string): Promise<void> => destroyLocalMachine({ root, name }, signal);
  return {
    machines: live.machines,
    live: live.facts,
    clone: async (name, expiresAt) =>
      createLocalMachine({ root, name, role: 'staging', source: { root, name: 'live' }, expiresAt }, signal),
    destroy,
    leftovers: async (name) => listLeftovers(root, name),
    expired: async (now) =>
      findExpired(await listLocalMachines({ root }), new Date(now)).map(({ name }) => name),
    [Symbol.asyncDispose]: async () => {
      await destroy('contract');
      await live[Symbol.asyncDispose]();
    },
  };
}
