import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openGuest } from '../../../src/guest/open.ts';
import { canIsolateNetwork } from '../../../src/machines/local/network.ts';
import { probeRoutes, type ForbiddenPlace } from '../../../src/machines/vsphere/probe-routes.ts';
import { createTestMachine, type TestMachine } from '../../support/machine.ts';

const signal = AbortSignal.timeout(120_000);
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
