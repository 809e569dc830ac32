import { testGuestContract } from '../contracts/guest.ts';
import { createTestMachine } from '../support/machine.ts';
import { startOpenSsh, whyNoOpenSsh } from '../support/openssh.ts';

const { signal } = new AbortController();

for (const role of ['live', 'staging'] as const) {
  testGuestContract(
    `SSH server of a local ${role} machine`,
    async () => {
      const machine = await createTestMachine({ role });
      const { stdout } = await openAndMakeFolder(machine);
      return {
        address: machine.facts.guest,
        folder: stdout.trim(),
        [Symbol.asyncDispose]: async () => machine[Symbol.asyncDispose](),
      };
    },
    undefined,
  );
}

testGuestContract('OpenSSH', async () => startOpenSsh(), whyNoOpenSsh());

testGuestContract(
  'OpenSSH through a jump host that is a local machine',
  async () => {
    const inner = await startOpenSsh();
    const jump = await createTestMachine({ role: 'live' });
    return {
      address: { ...inner.address, via: jump.facts.guest },
      folder: inner.folder,
      [Symbol.asyncDispose]: async () => {
        await jump[Symbol.asyncDispose]();
        await inner[Symbol.asyncDispose]();
      },
    };
  },
  whyNoOpenSsh(),
);

async function openAndMakeFolder(
  machine: Awaited<ReturnType<typeof createTestMachine>>,
): Promise<{ stdout: string }> {
  await using guest = await machine.openGuest();
  return await guest.runShell('mkdir work && cd work && pwd', { signal });
}
