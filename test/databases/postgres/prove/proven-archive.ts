import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Archive } from '../../../../src/archive/repository.ts';
import { takeBackup } from '../../../../src/databases/postgres/backup.ts';
import { archiveSettings } from '../../../../src/databases/postgres/log-slot.ts';
import { archiveEverything, startLogArchiver } from '../../../../src/databases/postgres/log-archiver.ts';
import { makeTestArchive } from '../../../support/archive.ts';
import { createTestCluster, type TestCluster } from '../../../support/cluster.ts';

export interface ProvenArchive extends AsyncDisposable {
  cluster: TestCluster;
  archive: Archive;
  mirror: Archive;
}

/** A real archive with a mirror: backup B1, log, a second timeline, backup B2 on it, more log; `rows` at a time. */
export async function makeProvenArchive(rows = 8000): Promise<ProvenArchive> {
  const cluster = await createTestCluster({ walSegmentSizeMegabytes: 1 });
  const spoolDir = join(cluster.folder, 'spool');
  await mkdir(spoolDir);
  if (cluster.runAs !== undefined) await chown(spoolDir, cluster.runAs.uid, cluster.runAs.gid);
  await cluster.stop();
  await cluster.start(archiveSettings(spoolDir, 512));
  const archive = await makeTestArchive(cluster, 'archive');
  const mirror = await makeTestArchive(cluster, 'mirror');
  const now = (): Date => new Date();
  await using archiver = await startLogArchiver({ spoolDir, archive, mirror, now });
  const write = async (): Promise<void> => {
    await using session = await cluster.connect();
    await session.query(`CREATE TABLE IF NOT EXISTS t (v text)`);
    for (let round = 0; round < 3; round += 1) {
      await session.query(`INSERT INTO t SELECT md5(n::text) FROM generate_series(1, $1::int) n`, [rows]);
    }
    await archiveEverything(cluster.address, archiver);
  };
  await write();
  const common = { address: cluster.address, archive, kind: 'managed' as const, now };
  await takeBackup({ ...common, label: 'B1', ownLog: false });
  await write();
  // A promotion begins timeline 2, as after a revert of LIVE.
  await cluster.stop();
  await writeFile(join(cluster.dataDir, 'standby.signal'), '');
  await cluster.start(archiveSettings(spoolDir, 512));
  {
    await using session = await cluster.connect();
    // Waits until it is over.
    await session.query(`SELECT pg_promote(true, 30)`);
  }
  await write();
  await takeBackup({ ...common, label: 'B2' });
  await write();
  return { cluster, archive, mirror, [Symbol.asyncDispose]: async () => cluster[Symbol.asyncDispose]() };
}
