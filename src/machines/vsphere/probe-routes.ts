import type { Guest } from '../../guest/guest.ts';

/** Something of production that no clone may reach (R21). */
export interface ForbiddenPlace {
  name: string;
  host: string;
  port: number;
}

/** A closed network answers nothing: nobody waits longer for that. */
const waitSeconds = 3;

/**
 * Tries from inside a guest to reach each place, and gives those that answered. A place that refuses the connection
 * was reached, too: only silence and "no route" count as closed. Linux: bash's /dev/tcp, else nc.
 */
export async function probeRoutes(
  guest: Guest,
  places: readonly ForbiddenPlace[],
  signal: AbortSignal,
): Promise<string[]> {
  const answers = await Promise.all(
    places.map(async (place) => ({ place, reached: await reaches(guest, place, signal) })),
  );
  return answers
    .filter(({ reached }) => reached)
    .map(({ place }) => `${place.name} at ${place.host}:${place.port}`);
}

async function reaches(guest: Guest, { host, port }: ForbiddenPlace, signal: AbortSignal): Promise<boolean> {
  const argv =
    guest.platform === 'windows'
      ? ['powershell', '-NoProfile', '-Command', windowsProbe, host, String(port)]
      : ['sh', '-c', linuxProbe, 'probe', host, String(port)];
  const { exitCode, stdout } = await guest.run(argv, { signal, timeoutMs: (waitSeconds + 10) * 1000 });
  // A guest that cannot even try proves nothing; what is not proven closed counts as open.
  return !(exitCode === 0 && stdout.trim() === 'closed');
}

/** $1 host, $2 port. */
const linuxProbe = [
  'if command -v bash >/dev/null 2>&1; then',
  `  said=$(timeout ${waitSeconds} bash -c 'exec 3<>"/dev/tcp/$1/$2"' probe "$1" "$2" 2>&1); code=$?`,
  'elif command -v nc >/dev/null 2>&1; then',
  `  said=$(nc -z -w ${waitSeconds} "$1" "$2" 2>&1); code=$?`,
  'else echo unknown; exit 0; fi',
  '[ "$code" -eq 0 ] && { echo open; exit 0; }',
  'case "$said" in *refused*) echo open ;; *) echo closed ;; esac',
].join('\n');

const windowsProbe =
  '& { param($h, $p) $c = New-Object Net.Sockets.TcpClient; ' +
  `try { if ($c.ConnectAsync($h, [int]$p).Wait(${waitSeconds * 1000})) { 'open' } else { 'closed' } } ` +
  "catch { if ($_.Exception.ToString() -match 'refused') { 'open' } else { 'closed' } } }";
