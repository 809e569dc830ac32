import { stopGuestServer } from '../../databases/postgres/guest-server.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { quoteSh } from '../../guest/quote.ts';
import type { MachineFacts } from '../../machines/machines.ts';
import type { MachineDoor } from '../machine/platform.ts';
import { postgresDoor } from '../postgres/server.ts';

/**
 * A full clone's data disk holds production's database, which its own services may have started. It is stopped and
 * removed, tablespaces and all, before the first byte of the archive comes: what is proven then is the archive alone.
 * Once for each step: one that was killed goes on with what it has restored.
 */
export async function clearDatabase(
  facts: MachineFacts,
  door: MachineDoor,
  guest: Guest,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  if (facts.role !== 'staging') throw new ClonaError('internal', `${facts.name} is not a staging machine`);
  const { server } = postgresDoor(door);
  const { dataDir } = server;
  const mark = `${dataDir}.cleared`;
  const marked = await guest.runShell(`cat ${quoteSh(mark)} 2>/dev/null || true`, { signal });
  if (marked.stdout === key) return;
  await stopGuestServer({ guest, ...server }, 'immediate', signal);
  const { exitCode, stderr } = await guest.runShell(removeAll(dataDir), { signal });
  if (exitCode !== 0) {
    throw new ClonaError('guestFailed', `the clone's copy of the database in ${dataDir} cannot be removed`, {
      cause: new Error(stderr.trim().slice(-500)),
      hint: 'the SSH user must be the one that the database server runs as',
    });
  }
  await guest.writeFile(mark, key, 0o600, signal);
}

/** In a tablespace's folder only what the server made in it (PG_<major>_<catalog>) is its own. */
function removeAll(dataDir: string): string {
  return `set -e
d=${quoteSh(dataDir)}
if [ -d "$d/pg_tblspc" ]; then
  for l in "$d"/pg_tblspc/*; do
    [ -L "$l" ] || continue
    t=$(readlink -f "$l") && rm -rf "$t"/PG_[0-9]*
  done
fi
rm -rf "$d" "$d.partial" "$d.restore" "$d.tablespaces" "$d.log"`;
}
