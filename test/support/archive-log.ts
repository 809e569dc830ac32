import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { logTrailerBytes, type LogTrailer } from '../../src/archive/format.ts';
import type { Archive } from '../../src/archive/repository.ts';
import { parseSegmentName } from '../../src/databases/postgres/lsn.ts';
import type { TestCluster } from './cluster.ts';

/** Puts every finished segment of pg_wal into the archive, for a cluster that does not archive by itself. */
export async function archiveLog(cluster: TestCluster, archive: Archive): Promise<void> {
  await using session = await cluster.connect();
  await session.query('CREATE TABLE IF NOT EXISTS zz_tick(t timestamptz)');
  await session.query('INSERT INTO zz_tick VALUES (now())');
  await session.query('SELECT pg_switch_wal()');
  const [row] = await session.query<{ name: string }>(
    'SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name',
  );
  const size = archive.header.segmentSizeBytes;
  const current = parseSegmentName(row!.name, size)!;
  const wal = join(cluster.dataDir, 'pg_wal');
  for (const name of await readdir(wal)) {
    if (name.endsWith('.history')) await copyFile(join(wal, name), join(archive.folder, 'log', name));
    const segment = parseSegmentName(name, size);
    if (segment === undefined) continue;
    if (segment.timeline === current.timeline ? segment.number >= current.number : false) continue;
    if (segment.number > current.number) continue;
    const folder = join(archive.folder, 'log', name.slice(0, 8));
    await mkdir(folder, { recursive: true });
    const raw = await readFile(join(wal, name));
    if (raw.readUInt32LE(4) > segment.timeline) continue;
    const frame = zstdCompressSync(raw);
    const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    const trailer: LogTrailer = {
      format: 1,
      name,
      systemIdentifier: archive.header.systemIdentifier,
      rawBytes: raw.length,
      sha256: hash(raw),
      frameSha256: hash(frame),
      firstTime: null,
      lastTime: null,
      archivedAt: new Date().toISOString(),
    };
    const end = Buffer.alloc(logTrailerBytes, ' ');
    end.writeUInt32LE(0x184d2a50, 0);
    end.writeUInt32LE(logTrailerBytes - 8, 4);
    end.write(JSON.stringify(trailer), 8);
    await writeFile(join(folder, `${name}.zst`), Buffer.concat([frame, end]));
  }
}
