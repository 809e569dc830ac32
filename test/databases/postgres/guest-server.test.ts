import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connect } from '../../../src/databases/postgres/connect.ts';
import {
  guestServerState,
  startGuestServer,
  stopGuestServer,
} from '../../../src/databases/postgres/guest-server.ts';
import { initCluster } from '../../../src/databases/postgres/server-cluster.ts';
import { resolveBinaries } from '../../../src/databases/postgres/server-binaries.ts';
import { uidOf } from '../../support/machine-user.ts';
import { createTestMachine } from '../../support/machine.ts';

test('a server on an isolated machine starts over SSH, outlives the connection, is reached by its socket, and stops', async () => {
  const signal = AbortSignal.timeout(60_000);
  await using machine = await createTestMachine({ role: 'staging' });
  const runAs = await uidOf(machine);
  const binaries = await resolveBinaries({ runAs });
  const dataDir = join(machine.facts.dataDisk, 'pg');
  const place = {
    binaries,
    dataDir,
    socketDir: machine.facts.database.host,
    port: machine.facts.database.port,
  };
  await initCluster({
    binaries,
    dataDir,
    runAs,
    sync: false,
    settings: { fsync: false, shared_buffers: '16MB' },
  });
  {
    await using guest = await machine.openGuest();
    expect(await guestServerState({ ...place, guest }, signal)).toBe('stopped');
    const settings = { application_name: "it's; quoted $HOME" };
    await startGuestServer({ ...place, guest }, { signal, settings });
    await startGuestServer({ ...place, guest }, { signal });
  }
  {
    await using connection = await connect({ ...machine.facts.database, database: 'postgres' }, signal);
    const [row] = await connection.query<{ setting: string }>(
      "select reset_val as setting from pg_settings where name = 'application_name'",
    );
    expect(row?.setting).toBe('clona');
  }
  await using guest = await machine.openGuest();
  await stopGuestServer({ ...place, guest }, 'fast', signal);
  await stopGuestServer({ ...place, guest }, 'fast', signal);
  expect(await guestServerState({ ...place, guest }, signal)).toBe('stopped');
});

test('a server that cannot start tells the end of its log', async () => {
  const signal = AbortSignal.timeout(60_000);
  await using machine = await createTestMachine({ role: 'staging' });
  const runAs = await uidOf(machine);
  const binaries = await resolveBinaries({ runAs });
  const dataDir = join(machine.facts.dataDisk, 'pg');
  await initCluster({ binaries, dataDir, runAs, sync: false });
  await using guest = await machine.openGuest();
  const server = {
    guest,
    binaries,
    dataDir,
    socketDir: machine.facts.database.host,
    port: machine.facts.database.port,
  };
  const failed = startGuestServer(server, { signal, settings: { shared_preload_libraries: 'nobody' } });
  await expect(failed).rejects.toMatchObject({
    code: 'CLONA-0401',
    cause: { message: expect.stringContaining('nobody') },
  });
});
