import { chmod, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openGuest } from '../../src/guest/open.ts';
import type { Guest } from '../../src/guest/guest.ts';
import { createLocalMachine, type LocalMachineSettings } from '../../src/machines/local/create.ts';
import { destroyLocalMachine } from '../../src/machines/local/destroy.ts';
import { openLocalMachines } from '../../src/machines/local/local-machines.ts';
import { listProcesses } from '../../src/machines/local/processes.ts';
import type { MachineFacts, Machines } from '../../src/machines/machines.ts';

export interface TestMachine extends AsyncDisposable {
  root: string;
  facts: MachineFacts;
  machines: Machines;
  openGuest(): Promise<Guest>;
}

/**
 * A real local machine, powered on, in a folder of its own under os.tmpdir(): `await using machine = await
 * createTestMachine({ role: 'live' })`. Several in one folder (a clone of another): hand the first one's `root`
 * on; whoever made the folder removes it.
 */
export async function createTestMachine(
  settings: Partial<LocalMachineSettings> & Pick<LocalMachineSettings, 'role'>,
): Promise<TestMachine> {
  const signal = AbortSignal.timeout(60_000);
  const ownRoot = settings.root === undefined ? await makeTestFolder() : undefined;
  const root = settings.root ?? ownRoot ?? '';
  const name = settings.name ?? settings.role;
  const facts = await createLocalMachine({ ...settings, root, name }, signal);
  return {
    root,
    facts,
    machines: openLocalMachines({ root }),
    openGuest: async () => openGuest(facts.guest, AbortSignal.timeout(20_000)),
    [Symbol.asyncDispose]: async () => {
      await destroyLocalMachine({ root, name, force: true }, AbortSignal.timeout(60_000));
      if (ownRoot !== undefined) await rm(ownRoot, { recursive: true, force: true });
    },
  };
}

/** A folder of a test's own that machines' users can pass through (mkdtemp makes it ours alone). */
export async function makeTestFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clona-test-'));
  await chmod(folder, 0o711);
  return folder;
}

/** Files, user numbers and processes that a destroyed machine must not leave. */
export async function listLeftovers(root: string, name: string): Promise<string[]> {
  const files = (await readdir(root)).filter((file) => file.includes(name));
  const folder = join(root, name);
  const processes = await listProcesses({ folder, uid: null });
  const users: string[] = [];
  for (const uid of await readdir('/run/clona/uids').catch(() => [])) {
    const holder = await readFile(join('/run/clona/uids', uid), 'utf8').catch(() => '');
    if (holder === folder) users.push(`user ${uid}`);
  }
  return [...files, ...users, ...processes.map(({ pid }) => `process ${pid}`)];
}
