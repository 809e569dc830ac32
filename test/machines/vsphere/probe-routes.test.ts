import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openGuest } from '../../../src/guest/open.ts';
import { canIsolateNetwork } from '../../../src/machines/local/network.ts';
import { linuxProbe, probeRoutes, type ForbiddenPlace } from '../../../src/machines/vsphere/probe-routes.ts';
import { createTestMachine, type TestMachine } from '../../support/machine.ts';

const { signal } = new AbortController();
const network = await canIsolateNetwork();

describe('routes from a guest to production', () => {
  const production = createServer();
  let place: ForbiddenPlace;
  let open: TestMachine;
  beforeAll(async () => {
    production.listen(0, '127.0.0.1');
    await once(production, 'listening');
    const { port } = production.address() as AddressInfo; // it listens on TCP
    place = { name: 'the database of production', host: '127.0.0.1', port };
    open = await createTestMachine({ role: 'live' });
  });
  afterAll(async () => {
    await open?.[Symbol.asyncDispose]();
    production.close();
  });

  test('one that is open is named, and so is one that answers with a refusal', async () => {
    await using guest = await openGuest(open.facts.guest, signal);
    const closedPort = { name: 'its SSH server', host: '127.0.0.1', port: 1 };
    expect(await probeRoutes(guest, [place, closedPort], signal)).toEqual([
      `the database of production at 127.0.0.1:${place.port}`,
      'its SSH server at 127.0.0.1:1',
    ]);
  });

  test.skipIf(!network.possible)('an isolated guest reaches nothing outside of it', async () => {
    await using machine = await createTestMachine({ role: 'staging' });
    await using guest = await openGuest(machine.facts.guest, signal);
    // An address of this host, which the guest's own loopback does not answer for.
    expect(await probeRoutes(guest, [{ ...place, host: '192.0.2.1' }], signal)).toEqual([]);
  });
});

describe('what a guest says of its try', () => {
  /** Programs of a guest as they may be: each prints its text and ends with its code. */
  async function judge(programs: Readonly<Record<string, readonly [string, number]>>): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'clona-probe-'));
    try {
      for (const [name, [said, code]] of Object.entries(programs)) {
        const body =
          name === 'timeout'
            ? 'shift\nexec "$@"'
            : `[ "$LC_ALL" = C ] || exit 0\necho '${said}' >&2\nexit ${code}`;
        await writeFile(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
      }
      const argv = ['-c', linuxProbe, 'probe', '192.0.2.1', '5432'];
      return spawnSync('/bin/sh', argv, { env: { PATH: folder }, encoding: 'utf8' }).stdout.trim();
    } finally {
      await rm(folder, { recursive: true });
    }
  }
  const timeout = ['', 0] as const;

  test.for<[string, number, string]>([
    ['', 0, 'open'],
    ['bash: connect: Connection refused', 1, 'open'],
    ['bash: connect: Connection reset by peer', 1, 'open'],
    ['', 124, 'closed'],
    ['bash: connect: No route to host', 1, 'closed'],
    ['bash: connect: Network is unreachable', 1, 'closed'],
    ['bash: connect: Connection timed out', 1, 'closed'],
    ['bash: /dev/tcp/192.0.2.1/5432: No such file or directory', 1, 'unknown'],
    ['bash: connect: Verbindungsaufbau abgelehnt', 1, 'unknown'],
    ['timeout: failed to run command', 127, 'unknown'],
  ])('of bash: %j with %i is %s', async ([said, code, verdict]) => {
    expect(await judge({ bash: [said, code], timeout })).toBe(verdict);
  });

  test.for<[string, number, string]>([
    ['nc: connect to 192.0.2.1 port 5432 (tcp) failed: Connection refused', 1, 'open'],
    ['nc: connect to 192.0.2.1 port 5432 (tcp) timed out: Operation now in progress', 1, 'closed'],
    ['nc: unrecognized option: z', 1, 'unknown'],
    ['', 1, 'unknown'],
  ])('of nc: %j with %i is %s', async ([said, code, verdict]) => {
    expect(await judge({ nc: [said, code], bash: ['without timeout nobody waits', 1] })).toBe(verdict);
  });

  test('without any program to try with nothing is known', async () => {
    expect(await judge({})).toBe('unknown');
  });
});
