import { chown, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackupHeader } from '../../../../src/archive/format.ts';
import { listBackups } from '../../../../src/archive/repository.ts';
import { connect } from '../../../../src/databases/postgres/connect.ts';
import { startGuestServer } from '../../../../src/databases/postgres/guest-server.ts';
import { openGuestPlace } from '../../../../src/databases/postgres/restore/place/guest-place.ts';
import { resolveBinaries } from '../../../../src/databases/postgres/server-binaries.ts';
import { readArchiveCatalog } from '../../../../src/databases/postgres/catalog.ts';
import { proveChecksums } from '../../../../src/databases/postgres/prove/checksums.ts';
import { readServerState } from '../../../../src/databases/postgres/server.ts';
import { decideRetention } from '../../../../src/retention/retention.ts';
import { planRecovery } from '../../../../src/recovery/plan.ts';
import { findVerifyTool, unpackBackup, verifyBackup } from '../../../support/archive.ts';
import { majorsAvailable } from '../../../support/cluster.ts';
import { uidOf } from '../../../support/machine-user.ts';
import { createTestMachine } from '../../../support/machine.ts';
import { createProduction, type Production } from '../../../support/production.ts';

const majors = await majorsAvailable();
const verifyTool = await findVerifyTool();
const signal = new AbortController().signal;

describe.each([15, 18])('a cold backup of server %i', { timeout: 180_000 }, (major) => {
  const skipped = !majors.includes(major);
  let production: Production;

  beforeAll(async () => {
    if (skipped) return;
    production = await createProduction({ major });
    const { cluster } = production;
    const space = join(cluster.folder, 'space');
    await mkdir(space);
    if (cluster.runAs !== undefined) await chown(space, cluster.runAs.uid, cluster.runAs.gid);
    {
      await using session = await production.connect();
      await session.query(`CREATE TABLESPACE other LOCATION '${space}'`);
      await session.query(`CREATE TABLE elsewhere TABLESPACE other AS SELECT generate_series(1, 500) AS i`);
      await session.query(`CREATE UNLOGGED TABLE passing AS SELECT 1 AS i`);
    }
    await production.write(20);
    await production.coldBackup('cold');
  });
  const headerOf = async (label: string): Promise<BackupHeader> => {
    const found = (await listBackups(production.archive)).find((backup) => backup.label === label);
    if (found?.header === undefined) throw new Error(`no backup ${label}`);
    return found.header;
  };
  afterAll(async () => production?.[Symbol.asyncDispose]());

  test.skipIf(skipped)('starts and ends at the shutdown checkpoint, and the server runs again', async () => {
    const header = await headerOf('cold');
    expect(header).toMatchObject({ kind: 'cold', ownLog: true, restorePoint: null, timeline: 1 });
    expect(header.start).toBe(header.consistentFrom);
    expect(header.pauseMs).toBeGreaterThan(0);
    expect(header.requirements.extensions).toContainEqual(expect.objectContaining({ name: 'plpgsql' }));
    expect(header.archives.map(({ tablespaceOid }) => tablespaceOid === null)).toEqual([false, true]);
    await production.write(1);
    expect(await readdir(production.archive.folder)).not.toContain('.stopped-for-backup.json');
  });

  test.skipIf(skipped)(
    'is planned without any log for its own position, and with the log from there on',
    async () => {
      const catalog = await readArchiveCatalog(production.archive.folder, signal);
      const position = catalog.backups[0]!.start!;
      const own = planRecovery(catalog, { until: { kind: 'position', position }, lost: 'all-logs' });
      expect(own).toMatchObject({
        reachable: true,
        backup: 'cold',
        logs: [],
        redoFrom: position,
        redoTo: position,
      });
      const kept = decideRetention(catalog, { redundancy: 1, windowDays: 0, orphanDays: 0 }, Date.now());
      expect(kept.lowWaterMarks).toEqual([{ incarnation: 1, position, abandoned: false }]);
    },
  );

  test.skipIf(skipped)('passes grade 1', async () => {
    const proof = await proveChecksums({
      archiveDir: production.archive.folder,
      label: 'cold',
      workers: 2,
      signal,
    });
    expect(proof).toMatchObject({ passed: true, problems: [] });
  });

  // The tool reads manifests up to its own version only.
  test.skipIf(skipped || (verifyTool?.major ?? 0) < major)(
    'is accepted by pg_verifybackup, log included',
    async () => {
      const { cluster, archive } = production;
      const header = await headerOf('cold');
      const dataDir = await unpackBackup(cluster, archive, header, 'verified');
      const oid = header.archives[0]!.tablespaceOid;
      await symlink(join(cluster.folder, `verified-${oid}`), join(dataDir, 'pg_tblspc', String(oid)));
      expect(await verifyBackup(verifyTool!.path, dataDir)).toContain('successfully verified');
    },
  );

  test.skipIf(skipped)('restores to its own end without any log, with its tablespaces', async () => {
    const report = await production.restore({ until: { kind: 'backup', label: 'cold' } }, 'own-end');
    expect(report.timelineAfter).toBe(2);
    expect(await production.readRows(report.target.folder)).toHaveLength(20);
    const [link] = await readdir(join(report.target.folder, 'pg_tblspc'));
    expect(await readdir(join(report.target.folder, 'pg_tblspc', link!))).toHaveLength(1);
    expect(await readFile(join(report.target.folder, 'backup_label')).catch(() => null)).toBeNull();
  });

  test.skipIf(skipped)(
    'restores with the archived log on top, to the newest and to a moment between',
    async () => {
      const moment = await production.write(5);
      await production.write(5);
      await production.archiveLog();
      const latest = await production.restore({ until: { kind: 'latest' } });
      expect(latest.plan.backup).toBe('cold');
      expect(await production.readRows(latest.target.folder)).toEqual(production.expectRows(1, 2n ** 63n));
      const { position } = moment;
      const between = await production.restore({
        until: { kind: 'position', position: position as never },
      });
      expect(await production.readRows(between.target.folder)).toEqual(production.expectRows(1, position));
      const at = (await readArchiveCatalog(production.archive.folder, signal)).backups[0]!.start!;
      const exact = await production.restore({ until: { kind: 'position', position: at } });
      expect(await production.readRows(exact.target.folder)).toHaveLength(20);
    },
  );

  test.skipIf(skipped)('restores over SSH to an isolated machine, tablespaces and all', async () => {
    await using machine = await createTestMachine({ role: 'staging' });
    const binaries = await resolveBinaries({ major, runAs: await uidOf(machine) });
    await using guest = await machine.openGuest();
    await using place = openGuestPlace({ guest, binaries, workers: 2, signal });
    const target = join(machine.facts.dataDisk, 'pg');
    const until = { kind: 'backup', label: 'cold' } as const;
    const report = await production.restore({ until, place, target, binaries });
    expect(report.timelineBefore).toBe(1);
    const { host: socketDir, port } = machine.facts.database;
    await startGuestServer({ guest, binaries, dataDir: target, socketDir, port }, { signal });
    await using session = await connect(
      { ...machine.facts.database, database: 'postgres', user: 'postgres' },
      signal,
    );
    expect(
      await session.query(
        'select (select count(*)::int from journal) as journal, (select count(*)::int from elsewhere) as other',
      ),
    ).toEqual([{ journal: 20, other: 500 }]);
  });

  test.skipIf(skipped)('on a later timeline carries the way there, and restores to its own end', async () => {
    await production.goBackTo({ kind: 'latest' });
    await production.write(3);
    // Named anew by a retry.
    const label = `cold-${production.journal.length}`;
    await production.coldBackup(label);
    const header = await headerOf(label);
    expect(header.timeline).toBeGreaterThan(1);
    const report = await production.restore({ until: { kind: 'backup', label } });
    expect(await production.readRows(report.target.folder)).toHaveLength(production.journal.length);
    expect((await readServerState(production.cluster.dataDir)).state).toBe('stopped');
  });
});
