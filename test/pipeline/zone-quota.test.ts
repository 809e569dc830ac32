import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { acquireSiteLock } from '../../src/control/lock.ts';
import { readArchive } from '../../src/databases/postgres/catalog.ts';
import { addLiveFacts } from '../../src/databases/postgres/catalog-live.ts';
import { archiveSettings } from '../../src/databases/postgres/log-slot.ts';
import { backUpSite } from '../../src/pipeline/back-up.ts';
import { withArchiver } from '../../src/pipeline/postgres/live-archive.ts';
import { openSite, type OpenedSite } from '../../src/pipeline/open-site.ts';
import { guardZone, judgeZone, type GuardReport } from '../../src/pipeline/zone-guard.ts';
import { rememberAreas } from '../../src/pipeline/zone-measure.ts';
import { silent } from '../../src/progress.ts';
import { findGaps } from '../../src/recovery/gaps.ts';
import { explainZone } from '../../src/retention/zone.ts';
import { keepZone } from '../../src/serve/keep-zone.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';
import { expectInOrder, startZoneWriter } from '../support/zone-writer.ts';

const never = new AbortController().signal;

/** Where no disk of its own can be had: a quota of bytes, and the classic procedure, which blocks in yellow at once. */
describe('the guard of the zones on a quota, with zone.blockAt: yellow', () => {
  let cluster: TestCluster;
  let folder: string;
  let spoolDir: string;
  let opened: OpenedSite;

  beforeAll(async () => {
    cluster = await createTestCluster({
      walSegmentSizeMegabytes: 1,
      settings: { wal_level: 'replica', max_slot_wal_keep_size: '1GB' },
    });
    folder = await mkdtemp(join(tmpdir(), 'clona-quota-'));
    await chmod(folder, 0o755);
    spoolDir = join(cluster.folder, 'spool');
    await mkdir(spoolDir);
    if (cluster.runAs !== undefined) await chown(spoolDir, cluster.runAs.uid, cluster.runAs.gid);
    await cluster.stop();
    await cluster.start(archiveSettings(spoolDir, 1024));
    const { host, port, user } = cluster.address;
    await writeFile(
      join(folder, 'clona.yaml'),
      `name: erp
database: { host: '${host}', port: ${port}, user: ${user} }
archive:
  location: archive
  mirror: mirror
  compressionLevel: 1
  workers: 2
  acceptSharedDisk: a test
  retention: { redundancy: 1, windowDays: 0 }
  zone: { yellow: 50%, red: 90%, blockAt: yellow, archiveQuota: 48MB, logQuota: 2GB }
notify: [{ on: [zoneYellow, zoneRed], run: 'cat >> pages.jsonl' }]
`,
    );
    opened = await openSite(join(folder, 'clona.yaml'), never);
    await backUpSite(opened, { by: 'test', kind: 'managed', signal: never, onProgress: silent });
  }, 180_000);
  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const look = async () => {
    const now = new Date();
    const { decision, areas } = await judgeZone(opened.site, never, now);
    await rememberAreas(opened.site, areas, now.getTime());
    return decision;
  };
  const archiveShare = async (): Promise<number> =>
    (await look()).areas.find(({ name }) => name === 'archive')!.share;

  /** Fills the archive up to a share of its quota; no disk's own state plays a part. */
  const fillTo = async (share: number): Promise<void> => {
    const writer = await startZoneWriter(cluster, spoolDir);
    try {
      const work = { signal: never, onProgress: silent };
      await withArchiver(opened.site, cluster.address, work, async (archiver) =>
        writer.fill(async () => {
          await archiver.drain();
          return (await archiveShare()) >= share;
        }),
      );
    } finally {
      await writer.stop();
    }
    expect(writer.problems).toEqual([]);
  };

  test('says when the next zone comes while the archive fills', async () => {
    await fillTo(0.2);
    const decision = await look();
    expect(decision.zone).toBe('green');
    expect(explainZone(decision).find((line) => line.startsWith('archive'))).toMatch(
      /^archive \d+ % \(green\), yellow in (\d+ (d|h|min|s) ?){1,2}$/,
    );
  }, 180_000);

  test('blocks writers in yellow already, and is green again with a log that is whole', async () => {
    await fillTo(0.55);
    expect((await look()).zone).toBe('yellow');
    const pages: string[] = [];
    const report: GuardReport = await guardZone(opened, {
      by: 'test',
      signal: never,
      onProgress: silent,
      now: () => new Date(),
      page: async (_zone, text) => void pages.push(text),
    });
    expectInOrder(
      report.events.map(({ action }) => action),
      [
        'hold-refreshes',
        'block-transactions',
        'quiesced-backup',
        'restart-log',
        'unblock-transactions',
        'remove-obsolete',
        'release-refreshes',
      ],
    );
    const blocked = report.events.find(({ action }) => action === 'block-transactions');
    expect(blocked?.zone).toBe('yellow');
    expect(report.zone).toBe('green');
    expect(pages).toEqual([expect.stringContaining('the yellow zone is reached')]);
    const { location: archiveDir, mirror: mirrorDir } = opened.site.archive;
    const found = await readArchive({ archiveDir, mirrorDir }, never);
    expect(findGaps(await addLiveFacts(found.catalog, cluster.address, never))).toEqual([]);
  }, 180_000);

  test('while another run has the site a human is paged, once, and the guard acts when that run ends', async () => {
    await fillTo(0.55);
    const { readFile } = await import('node:fs/promises');
    const file = join(folder, 'pages.jsonl');
    await rm(file, { force: true });
    const pages = async (): Promise<string[]> =>
      (await readFile(file, 'utf8').catch(() => ''))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => (JSON.parse(line) as { text: string }).text);
    const stop = new AbortController();
    const notes: string[] = [];
    // A minute passes as soon as it is waited for.
    let looks = 0;
    const clock = {
      now: () => new Date(),
      waitUntil: async (): Promise<void> => {
        looks += 1;
        await new Promise((resolve) => setImmediate(resolve));
      },
    };
    const lock = await acquireSiteLock(opened.control, { who: 'amra', what: 'refresh' }, new Date());
    const keeping = keepZone(opened.site, { clock, signal: stop.signal, note: (line) => notes.push(line) });
    try {
      await vi.waitFor(() => expect(looks).toBeGreaterThanOrEqual(3), { timeout: 60_000, interval: 20 });
      expect(await pages()).toEqual([
        expect.stringMatching(/the yellow zone is reached and nothing is done about it: .*refresh of amra/),
      ]);
      await lock[Symbol.asyncDispose]();
      await vi.waitFor(async () => expect((await look()).zone).toBe('green'), {
        timeout: 60_000,
        interval: 100,
      });
      expect((await pages())[1]).toMatch(/the yellow zone is reached: archive/);
    } finally {
      stop.abort();
      await keeping;
      await lock[Symbol.asyncDispose]();
    }
  }, 180_000);

  test('a quota is no promise of the disk: what others filled counts', async () => {
    const { measureAreas } = await import('../../src/pipeline/zone-measure.ts');
    const site = {
      ...opened.site,
      archive: { ...opened.site.archive, zone: { ...opened.site.archive.zone, archiveQuota: 2 ** 60 } },
    };
    const [archive] = await measureAreas(site, undefined, never);
    expect(archive?.totalBytes).toBeLessThan(2 ** 60);
  });
});
