import { resolveGuestBinaries } from '../../databases/postgres/guest-binaries.ts';
import { openGuestBridge } from '../../databases/postgres/guest-bridge.ts';
import { openGuestPlace } from '../../databases/postgres/restore/place/guest-place.ts';
import type { PostgresBinaries } from '../../databases/postgres/server-binaries.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { openGuest } from '../../guest/open.ts';
import type { MachineFacts } from '../../machines/machines.ts';
import { resolveSecret } from '../../site/secret.ts';
import type { Site } from '../../site/site.ts';
import type { MachineDoor } from '../machine/platform.ts';
import { vsphereSettings } from './site-settings.ts';

export interface DoorOptions {
  site: Site;
  facts: MachineFacts;
  /** The server's programs by machine, so that a guest is asked once. */
  known: Map<string, PostgresBinaries>;
  signal: AbortSignal;
}

/**
 * The way into a machine of a vCenter: SSH, and through it the database's Unix socket, so that no port of it needs to be
 * open, and one in an isolated network is reached like any other.
 */
export async function openVsphereDoor({ site, facts, known, signal }: DoorOptions): Promise<MachineDoor> {
  const { dataDir = `${facts.dataDisk}/pg`, socketDir } = vsphereSettings(site);
  await using opened = new AsyncDisposableStack();
  const guest = opened.use(await openGuest(facts.guest, signal));
  await requireMachine(guest, facts, signal);
  const binaries = known.get(facts.name) ?? (await findBinaries(site, guest, signal));
  known.set(facts.name, binaries);
  const { port } = facts.database;
  const bridge = opened.use(
    await openGuestBridge(async () => guest, `${socketDir}/.s.PGSQL.${port}`, signal),
  );
  const { password } = site.database;
  const own = opened.move();
  return {
    address: {
      ...facts.database,
      host: bridge.folder,
      port: 5432,
      ...(password === undefined ? {} : { password: await resolveSecret(password) }),
    },
    guest,
    verify: async (other, abort) => requireMachine(other, facts, abort),
    postgres: {
      server: { binaries, dataDir, socketDir, port, startedAs: 'itself' },
      openPlanned: async (workers, abort) => {
        const place = openGuestPlace({ guest, binaries, workers, signal: abort });
        const dispose = async (): Promise<void> => place[Symbol.asyncDispose]();
        // A clone has production's disks, and what they hold of its database makes way.
        return { place, target: dataDir, replace: true, [Symbol.asyncDispose]: dispose };
      },
    },
    [Symbol.asyncDispose]: async () => own.disposeAsync(),
  };
}

async function findBinaries(
  { database }: Site,
  guest: Guest,
  signal: AbortSignal,
): Promise<PostgresBinaries> {
  if (guest.platform !== 'linux') {
    throw new ClonaError('usage', 'the pipeline knows PostgreSQL in Linux guests only');
  }
  return resolveGuestBinaries(guest, { binDir: database.binDir, major: database.embedded }, signal);
}

/**
 * Clones of one machine may have one address and one host key: whoever answers there must have the network cards that
 * the vCenter gave this very machine. Without this a restore could go into production.
 */
export async function requireMachine(
  guest: Guest,
  { name, macs = [] }: MachineFacts,
  signal: AbortSignal,
): Promise<void> {
  const { stdout } = await guest.runShell('cat /sys/class/net/*/address', { signal });
  const found = stdout
    .toLowerCase()
    .split('\n')
    .filter((line) => line !== '');
  if (macs.some((mac) => found.includes(mac))) return;
  throw new ClonaError('guestFailed', `whoever answers at the address of ${name} is another machine`, {
    hint: 'two machines have one address: reach the isolated network through a jump host of its own',
    details: { expected: macs, found },
  });
}
