import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readBackupHeader } from '../../../../../src/archive/repository.ts';
import { discardRestore } from '../../../../../src/databases/postgres/restore/discard.ts';
import { openGuestPlace } from '../../../../../src/databases/postgres/restore/place/guest-place.ts';
import type { RestoreReport } from '../../../../../src/databases/postgres/restore/report.ts';
import { quoteSh } from '../../../../../src/guest/quote.ts';
import { parseRestoreUntil } from '../../../../../src/databases/postgres/restore/choose/until.ts';
import { connect } from '../../../../../src/databases/postgres/connect.ts';
import { startGuestServer, stopGuestServer } from '../../../../../src/databases/postgres/guest-server.ts';
import { resolveBinaries } from '../../../../../src/databases/postgres/server-binaries.ts';
import { uidOf } from '../../../../support/machine-user.ts';
import { createTestMachine, type TestMachine } from '../../../../support/machine.ts';
import { canMount, fillDisk, mountSmallDisk } from '../../../../support/small-disk.ts';
import { tamperWithFile } from '../../../../support/tamper.ts';
import { createProduction, type Production } from '../../../../support/production.ts';

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

const child = fileURLToPath(new URL('../../../../support/restore-guest-child.ts', import.meta.url));

/** Restores over SSH in a process of its own that kills itself at `word`; false: it ended before. */
async function killAt(machine: TestMachine, target: string, word: string): Promise<boolean> {
  const uid = (await uidOf(machine))?.uid ?? '';
  const words = [production.archive.folder, target, String(uid), JSON.stringify(machine.facts.guest), word];
  const running = spawn(process.execPath, [child, ...words], {
    stdio: ['ignore', 'inherit', 'inherit'],
    // What a killed process leaves in its temporary folder goes away with ours.
    env: { ...process.env, TMPDIR: production.cluster.folder },
  });
  const [, signal] = (await once(running, 'exit')) as [number | null, string | null];
  return signal === 'SIGKILL';
}

/** The restored rows, read through a server of the guest. */
async function readRows(machine: TestMachine, target: string, signal: AbortSignal): Promise<number[]> {
  const binaries = await resolveBinaries({ runAs: await uidOf(machine) });
  await using guest = await machine.openGuest();
  const { host: socketDir, port } = machine.facts.database;
  const server = { guest, binaries, dataDir: target, socketDir, port };
  await startGuestServer(server, { signal });
  try {
    await using session = await connect(
      { ...machine.facts.database, database: 'postgres', user: 'postgres' },
      signal,
    );
    const rows = await session.query<{ id: number }>('SELECT id FROM journal ORDER BY id');
    const [large] = await session.query('SELECT count(*)::int AS rows FROM large');
    expect(large).toEqual({ rows: 200_000 });
    return rows.map(({ id }) => id);
  } finally {
    await stopGuestServer(server, 'fast', signal);
  }
}

async function restoreInto(
  machine: TestMachine,
  target: string,
  signal: AbortSignal,
  options: { archiveDir?: string; mirrorDir?: string } = {},
): Promise<RestoreReport> {
  const binaries = await resolveBinaries({ runAs: await uidOf(machine) });
  await using guest = await machine.openGuest();
  await using lane = await machine.openGuest();
  await using place = openGuestPlace({ guest, lanes: [lane], binaries, workers: 2, signal });
  return await production.restore({ until: { kind: 'latest' }, place, target, binaries, ...options });
}

test('killed in the middle of a restore over SSH, nothing looks whole on the guest, and the next run ends it', async () => {
  const signal = AbortSignal.timeout(90_000);
  await using machine = await createTestMachine({ role: 'staging' });
  for (const word of [
    'running unpack and verify',
    'started replay the log',
    'started start with its own configuration',
  ]) {
    const target = join(machine.facts.dataDisk, word.replaceAll(' ', '-'));
    expect([word, await killAt(machine, target, word)]).toEqual([word, true]);
    await using guest = await machine.openGuest();
    expect((await guest.runShell(`[ -e ${quoteSh(target)} ]`, { signal })).exitCode).toBe(1);
    await restoreInto(machine, target, signal);
    expect(await readRows(machine, target, signal)).toEqual(production.expectRows(1, end));
    const left = await guest.list(machine.facts.dataDisk, signal);
    expect(left.filter((name) => /\.(partial|restore|tablespaces)$/.test(name))).toEqual([]);
  }
});

test('a file that is not what the manifest says is fetched from the mirror, and sent again', async () => {
  const signal = AbortSignal.timeout(60_000);
  await using machine = await createTestMachine({ role: 'staging' });
  const archiveDir = join(production.cluster.folder, 'tampered');
  await cp(production.archive.folder, archiveDir, { recursive: true });
  const header = await readBackupHeader(production.archive, 'B1');
  const path = await tamperWithFile(join(archiveDir, 'backups', 'B1'), header);
  const target = join(machine.facts.dataDisk, 'mended');
  await expect(restoreInto(machine, target, signal, { archiveDir })).rejects.toMatchObject({
    kind: 'archiveDamaged',
    message: expect.stringContaining(path),
  });
  const report = await restoreInto(machine, target, signal, {
    archiveDir,
    mirrorDir: production.mirror.folder,
  });
  expect(report.warnings.join('\n')).toContain(`${path} does not match its checksum in ${archiveDir}`);
  expect(await readRows(machine, target, signal)).toEqual(production.expectRows(1, end));
  await rm(archiveDir, { recursive: true });
});

test('a file that is not what the manifest says is taken from the mirror on this host too', async () => {
  const archiveDir = join(production.cluster.folder, 'tampered');
  await cp(production.archive.folder, archiveDir, { recursive: true });
  const header = await readBackupHeader(production.archive, 'B1');
  const path = await tamperWithFile(join(archiveDir, 'backups', 'B1'), header);
  const alone = production.restore({ until: { kind: 'latest' }, archiveDir });
  await expect(alone).rejects.toMatchObject({ exitCode: 4, message: expect.stringContaining(path) });
  const mirrorDir = production.mirror.folder;
  const report = await production.restore({ until: { kind: 'latest' }, archiveDir, mirrorDir });
  expect(report.warnings.join('\n')).toContain(`${path} does not match its checksum`);
  expect(await production.readRows(report.target.folder)).toEqual(production.expectRows(1, end));
});

test.skipIf(!canMount())(
  'a disk of the guest that fills up meanwhile is said to be full, and gets its room back',
  async () => {
    const signal = AbortSignal.timeout(90_000);
    await using disk = await mountSmallDisk(500);
    for (const folder of [dirname(disk.folder), disk.folder]) await chmod(folder, 0o711);
    await using machine = await createTestMachine({ role: 'staging', root: disk.folder });
    const binaries = await resolveBinaries({ runAs: await uidOf(machine) });
    await using guest = await machine.openGuest();
    await using place = openGuestPlace({ guest, lanes: [], binaries, workers: 1, signal });
    const target = join(machine.facts.dataDisk, 'pg');
    for (const fillsAt of ['unpack and verify', 'replay the log']) {
      let ballast = '';
      const failed = production.restore({
        until: { kind: 'latest' },
        place,
        target,
        binaries,
        onProgress: ({ step, state }) => {
          if (step === fillsAt && state === 'started') ballast = fillDisk(disk.folder, 0);
        },
      });
      await expect(failed).rejects.toMatchObject({ kind: 'diskFull', exitCode: 6 });
      await discardRestore(place, target);
      expect(
        (await guest.list(machine.facts.dataDisk, signal)).filter((name) => name.startsWith('pg')),
      ).toEqual([]);
      await rm(ballast);
    }
    await restoreInto(machine, target, signal);
    expect(await readRows(machine, target, signal)).toEqual(production.expectRows(1, end));
  },
);
