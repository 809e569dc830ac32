import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { once } from 'node:events';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { openGuest } from '../../guest/open.ts';
import { describeMachine } from './describe.ts';
import type { MachinePaths } from './layout.ts';

/**
 * Asked from inside: which interfaces beside loopback, which routes, and which of this host's own addresses can
 * be reached (a listener of ours waits at each). Empty when the machine is alone.
 */
export async function probeFromInside(
  paths: MachinePaths,
  name: string,
  signal: AbortSignal,
): Promise<string[]> {
  const { guest: address } = await describeMachine(paths, name);
  await using guest = await openGuest(address, signal);
  return [...(await listInterfaces(guest, signal)), ...(await tryHostAddresses(guest, signal))];
}

async function listInterfaces(guest: Guest, signal: AbortSignal): Promise<string[]> {
  const script = [
    "sed -n 's/^ *\\([^ :]*\\):.*/interface \\1/p' /proc/net/dev",
    "sed -n '2,$ s/^\\([^\\t]*\\)\\t\\([^\\t]*\\)\\t.*/route \\2 by \\1/p' /proc/net/route",
  ].join('\n');
  const { stdout } = await guest.runShell(script, { signal, timeoutMs: 10_000 });
  return stdout
    .split('\n')
    .filter((line) => line !== '' && line !== 'interface lo' && !line.endsWith(' by lo'));
}

async function tryHostAddresses(guest: Guest, signal: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  const hosts = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
  for (const host of new Set(['127.0.0.1', ...hosts])) {
    const server = await listenAt(host);
    if (server === undefined) continue;
    try {
      const { port } = server.address() as { port: number }; // it listens on TCP
      if (await reaches(guest, server, { host, port }, signal)) found.push(`${host} of the host`);
    } finally {
      server.close();
    }
  }
  return found;
}

/** The listener itself says whether somebody came: something else inside may answer at the same address. */
async function reaches(
  guest: Guest,
  server: Server,
  to: { host: string; port: number },
  signal: AbortSignal,
): Promise<boolean> {
  let came = false;
  server.on('connection', (socket) => {
    came = true;
    socket.destroy();
  });
  const limited = AbortSignal.any([signal, AbortSignal.timeout(3000)]);
  try {
    const stream = await guest.forward(to, limited);
    stream.on('error', () => {});
    if (!stream.destroyed) {
      stream.resume();
      await once(stream, 'close', { signal: limited });
    }
  } catch {
    signal.throwIfAborted();
  }
  return came;
}

async function listenAt(host: string): Promise<Server | undefined> {
  const server = createServer();
  try {
    const listening = once(server, 'listening');
    server.listen(0, host);
    await listening;
    return server;
  } catch {
    return undefined; // an address that is not up (link-local without a zone)
  }
}

export async function requireIsolation(
  paths: MachinePaths,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const reached = await probeFromInside(paths, name, signal);
  if (reached.length === 0) return;
  throw new ClonaError(
    'machineFailed',
    `machine "${name}" is not isolated: it reaches ${reached.join(', ')}`,
    {
      details: { reached },
    },
  );
}
