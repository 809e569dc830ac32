import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Archive } from '../../src/archive/repository.ts';
import { openOrCreateArchive } from '../../src/archive/repository.ts';
import { readArchiveIdentity } from '../../src/databases/postgres/backup-facts.ts';
import { receiveLog } from '../../src/databases/postgres/log-receiver.ts';
import { listStreamPlaces } from '../../src/pipeline/log-streams.ts';
import { archiveByStream, reserveStreams } from '../../src/pipeline/postgres/stream-log.ts';
import { silent } from '../../src/progress.ts';
import { loadSite } from '../../src/site/load.ts';
import type { Site } from '../../src/site/site.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';

const work = { signal: new AbortController().signal, onProgress: silent };
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await createTestCluster({
    walSegmentSizeMegabytes: 1,
    settings: { max_slot_wal_keep_size: '256MB', max_wal_senders: 10 },
  });
});
afterAll(async () => cluster[Symbol.asyncDispose]());

/** A site of this name alone, with slots and archives of its own. */
async function makeSite(name: string): Promise<{ site: Site; archive: Archive; mirror: Archive }> {
  const folder = join(cluster.folder, name);
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'clona.yaml');
  await writeFile(path, `name: ${name}\narchive: { location: archive, mirror: mirror }\n`);
  const site = await loadSite(path);
  const identity = await readArchiveIdentity(cluster.address);
  const open = async (place: string): Promise<Archive> =>
    openOrCreateArchive(join(folder, place), identity, new Date());
  return { site, archive: await open('archive'), mirror: await open('mirror') };
}

async function write(): Promise<void> {
  await using session = await cluster.connect();
  // About three segments.
  await session.query("select pg_logical_emit_message(false, 'test', repeat('x', 3000000))");
}

const names = async ({ folder }: Archive, ...path: string[]): Promise<string[]> =>
  (await readdir(join(folder, ...path), { recursive: true }))
    .filter((name) => /[0-9A-F]{24}/.test(name))
    .sort();

test('the log comes compressed to archive and mirror, and of the raw one only the newest segment stays', async () => {
  const { site, archive, mirror } = await makeSite(`alone-${Date.now()}`);
  await reserveStreams(site, cluster.address, work.signal);
  await write();
  const last = await archiveByStream(site, cluster.address, { archive, mirror }, work);
  const archived = await names(archive, 'log', '00000001');
  expect(archived.length).toBeGreaterThanOrEqual(3);
  expect(archived.at(-1)).toBe(`${last}.zst`);
  expect(await names(mirror, 'log', '00000001')).toEqual(archived);
  for (const one of [archive, mirror]) expect((await names(one, 'stream')).length).toBeLessThanOrEqual(2);
  expect((await readdir(join(archive.folder, 'stream'))).sort()).toEqual(['00000001', 'status.json']);
});

test('while clona serve has the slots its streams are waited for', async () => {
  const { site, archive, mirror } = await makeSite(`beside-${Date.now()}`);
  await reserveStreams(site, cluster.address, work.signal);
  const end = new AbortController();
  const started = listStreamPlaces(site).map(({ destination, slot }) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const to = destination === 'archive' ? archive : mirror;
    const received = receiveLog({
      address: cluster.address,
      archive: to,
      slot,
      signal: AbortSignal.any([end.signal, work.signal]),
      onStatus: () => resolve(),
    });
    return { promise, received };
  });
  await Promise.all(started.map(async ({ promise }) => promise));
  try {
    await write();
    const last = await archiveByStream(site, cluster.address, { archive, mirror }, work);
    expect((await names(archive, 'log', '00000001')).at(-1)).toBe(`${last}.zst`);
    expect((await names(mirror, 'log', '00000001')).at(-1)).toBe(`${last}.zst`);
  } finally {
    end.abort();
    await Promise.all(started.map(async ({ received }) => received));
  }
});
