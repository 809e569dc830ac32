import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGuestPlace } from '../../../../src/databases/postgres/restore/guest-place.ts';
import { parseRestoreUntil } from '../../../../src/databases/postgres/restore/until.ts';
import { connect } from '../../../../src/databases/postgres/connect.ts';
import { startGuestServer, stopGuestServer } from '../../../../src/databases/postgres/guest-server.ts';
import { resolveBinaries } from '../../../../src/databases/postgres/server-binaries.ts';
import { uidOf } from '../../../support/machine-user.ts';
import { createTestMachine } from '../../../support/machine.ts';
import { createProduction, type Production } from '../../../support/production.ts';

let production: Production;
let end: bigint;

beforeAll(async () => {
  production = await createProduction();
  await production.write(10);
  {
    await using session = await production.connect();
    await session.query(
      `CREATE TABLE large AS SELECT i, md5(i::text) AS text FROM generate_series(1, 200000) i`,
    );
  }
  await production.backup('B1');
  end = (await production.write(20)).position;
  await production.archiveLog();
});
afterAll(async () => production?.[Symbol.asyncDispose]());

test('a backup is streamed to an isolated machine over SSH, recovered there and left shut', async () => {
  const signal = AbortSignal.timeout(60_000);
  await using machine = await createTestMachine({ role: 'staging' });
  const binaries = await resolveBinaries({ runAs: await uidOf(machine) });
  await using guest = await machine.openGuest();
  await using lane = await machine.openGuest();
  await using place = openGuestPlace({ guest, lanes: [lane], binaries, workers: 2, signal });
  const target = join(machine.facts.dataDisk, 'pg');
  const report = await production.restore({ until: { kind: 'latest' }, place, target, binaries });
  expect(report.timelineAfter).toBe(2);
  expect((await guest.list(machine.facts.dataDisk, signal)).filter((name) => name.startsWith('pg'))).toEqual([
    'pg',
  ]);
  const { host: socketDir, port } = machine.facts.database;
  const server = { guest, binaries, dataDir: target, socketDir, port };
  await startGuestServer(server, { signal });
  {
    await using session = await connect(
      { ...machine.facts.database, database: 'postgres', user: 'postgres' },
      signal,
    );
    const rows = await session.query<{ id: number }>('SELECT id FROM journal ORDER BY id');
    expect(rows.map(({ id }) => id)).toEqual(production.expectRows(1, end));
    const [large] = await session.query(
      `SELECT count(*)::int AS rows, current_setting('archive_mode') AS mode FROM large`,
    );
    expect(large).toEqual({ rows: 200_000, mode: 'off' });
  }
  await stopGuestServer(server, 'fast', signal);
  // What is there is not overwritten, and a target that cannot be reached leaves nothing behind.
  await expect(
    production.restore({ until: { kind: 'latest' }, place, target, binaries }),
  ).rejects.toMatchObject({
    kind: 'targetOccupied',
  });
  const nowhere = join(machine.facts.dataDisk, 'nowhere');
  await expect(
    production.restore({ until: parseRestoreUntil('restore-point:never'), place, target: nowhere, binaries }),
  ).rejects.toMatchObject({ kind: 'targetUnreachable' });
  expect(await place.list(nowhere)).toBeNull();
});
