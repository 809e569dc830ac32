import type { Guest } from '../../guest/guest.ts';
import { quotePowerShell } from '../../guest/powershell.ts';

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
  const options = { signal, timeoutMs: (waitSeconds + 10) * 1000 };
  const { exitCode, stdout } =
    guest.platform === 'windows'
      ? await guest.runShell(windowsProbe(host, port), options)
      : await guest.run(['sh', '-c', linuxProbe, 'probe', host, String(port)], options);
  // A guest that cannot even try proves nothing; what is not proven closed counts as open.
  return !(exitCode === 0 && stdout.trim() === 'closed');
}

/**
 * $1 host, $2 port. In the C locale: messages are told apart by their words. A bash without /dev/tcp, a missing
 * program or a message that nobody knows is `unknown`, never `closed`.
 */
export const linuxProbe = [
  'LC_ALL=C; export LC_ALL',
  'if command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then',
  `  said=$(timeout ${waitSeconds} bash -c 'exec 3<>"/dev/tcp/$1/$2"' probe "$1" "$2" 2>&1); code=$?`,
  // What timeout ends with, and an older BusyBox.
  '  case $code in 124|143) echo closed; exit 0 ;; esac',
  'elif command -v nc >/dev/null 2>&1; then',
  // Without -v it refuses in silence.
  `  said=$(nc -v -z -w ${waitSeconds} "$1" "$2" 2>&1 </dev/null); code=$?`,
  'else echo unknown; exit 0; fi',
  '[ "$code" -eq 0 ] && { echo open; exit 0; }',
  'case "$said" in',
  '  *refused*|*reset*) echo open ;;',
  '  *"timed out"*|*"No route to host"*|*"etwork is unreachable"*|*"ost is unreachable"*) echo closed ;;',
  '  *) echo unknown ;;',
  'esac',
].join('\n');

/** By numbers of Winsock, which are the same in every language: net down, net or host unreachable, timed out. */
function windowsProbe(host: string, port: number): string {
  return [
    '$client = New-Object Net.Sockets.TcpClient',
    `try { if ($client.ConnectAsync(${quotePowerShell(host)}, ${port}).Wait(${waitSeconds * 1000})) { 'open' } else { 'closed' } }`,
    'catch {',
    '  $cause = $_.Exception.GetBaseException()',
    "  if ($cause -is [Net.Sockets.SocketException] -and 10050, 10051, 10060, 10064, 10065 -contains $cause.ErrorCode) { 'closed' } else { 'open' }",
    '}',
    'exit 0',
  ].join('\n');
}
