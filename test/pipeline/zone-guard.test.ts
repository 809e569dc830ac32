import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readArchive } from '../../src/databases/postgres/catalog.ts';
import { addLiveFacts } from '../../src/databases/postgres/catalog-live.ts';
import { findGaps } from '../../src/recovery/gaps.ts';
import { archiveSettings } from '../../src/databases/postgres/log-slot.ts';
import { backUpSite } from '../../src/pipeline/back-up.ts';
import { withArchiver } from '../../src/pipeline/postgres/live-archive.ts';
import { openSite, type OpenedSite } from '../../src/pipeline/open-site.ts';
import { guardZone, judgeZone, type GuardReport } from '../../src/pipeline/zone-guard.ts';
import type { ZoneEvent } from '../../src/pipeline/zone-turn.ts';
import { rememberAreas } from '../../src/pipeline/zone-measure.ts';
import { readZoneState } from '../../src/pipeline/zone-state.ts';
import { silent } from '../../src/progress.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';
import { expectInOrder, startZoneWriter } from '../support/zone-writer.ts';

const childFile = fileURLToPath(new URL('../support/zone-child.ts', import.meta.url));
const never = new AbortController().signal;

describe.skipIf(!canMount())('the guard of the zones on a small disk', () => {
  let cluster: TestCluster;
  let folder: string;
  let spoolDir: string;
  let opened: OpenedSite;
  const disks: AsyncDisposable[] = [];
  const timeline: ZoneEvent[] = [];
  const pages: string[] = [];

  beforeAll(async () => {
    cluster = await createTestCluster({
      walSegmentSizeMegabytes: 1,
      settings: { wal_level: 'replica', max_slot_wal_keep_size: '1GB' },
    });
    folder = await mkdtemp(join(tmpdir(), 'clona-zone-'));
    await chmod(folder, 0o755);
    const [archive, mirror, spool] = await Promise.all([96, 512, 128].map(mountSmallDisk));
    disks.push(archive!, mirror!, spool!);
    spoolDir = spool!.folder;
    await chmod(dirname(spoolDir), 0o755);
    if (cluster.runAs !== undefined) await chown(spool!.folder, cluster.runAs.uid, cluster.runAs.gid);
    await cluster.stop();
    await cluster.start(archiveSettings(spool!.folder, 1024));
    const { host, port, user } = cluster.address;
    await writeFile(
      join(folder, 'clona.yaml'),
      `name: erp
database: { host: '${host}', port: ${port}, user: ${user} }
archive:
  location: ${archive!.folder}
  mirror: ${mirror!.folder}
  compressionLevel: 1
  workers: 2
  retention: { redundancy: 1, windowDays: 0 }
  zone: { yellow: 50%, red: 75%, logQuota: 2GB }
`,
    );
    opened = await openSite(join(folder, 'clona.yaml'), never);
  }, 60_000);
  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
    for (const disk of disks) await disk[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const guard = async (): Promise<GuardReport> => {
    const report = await guardZone(opened, {
      by: 'test',
      signal: never,
      onProgress: silent,
      now: () => new Date(),
      page: async (_zone, text) => void pages.push(text),
    });
    timeline.push(...report.events);
    return report;
  };
  const share = async (): Promise<number> => {
    const { decision, areas } = await judgeZone(opened.site, never, new Date());
    await rememberAreas(opened.site, areas, Date.now());
    return decision.areas.find(({ name }) => name === 'archive')!.share;
  };
  const kindsSince = (from: number): (string | null)[] => timeline.slice(from).map(({ action }) => action);

  /** Every log from the start of every kept backup up to now is there, and "latest" is reached without the online log. */
  const expectWhole = async (): Promise<void> => {
    const { location, mirror } = opened.site.archive;
    for (const archiveDir of [location, mirror!]) {
      const found = await readArchive({ archiveDir, mirrorDir: location }, never);
      const catalog = await addLiveFacts(found.catalog, cluster.address, never);
      expect(findGaps(catalog)).toEqual([]);
      const plan = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'online-log' });
      expect(plan.reachable).toBe(true);
      const starts = catalog.backups.map(({ start }) => start ?? 0n);
      const lowest = starts.reduce((a, b) => (b < a ? b : a));
      expect(catalog.logs.every(({ first }) => first <= lowest)).toBe(false);
      expect(catalog.logs.some(({ first, next }) => first <= lowest && lowest < next)).toBe(true);
    }
  };

  test('under load it goes from yellow back to green by itself, in red it pauses writers for a moment only, and nothing above the mark goes', async () => {
    timeline.length = 0;
    const writer = await startZoneWriter(cluster, spoolDir);
    const stop = new AbortController();
    const archiving = withArchiver(
      opened.site,
      cluster.address,
      { signal: never, onProgress: silent },
      async () => new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve())),
    );
    try {
      await backUpSite(opened, {
        by: 'test',
        kind: 'managed',
        signal: never,
        onProgress: silent,
      });
      expect((await guard()).zone).toBe('green');
      expect(timeline).toEqual([]);

      // Further than what lies below the mark already, so that removing alone does not lead back.
      await writer.fill(async () => (await share()) >= 0.6);
      expect((await guard()).zone).toBe('green');
      expectInOrder(kindsSince(0), [
        'hold-refreshes',
        'force-backup',
        'remove-obsolete',
        'release-refreshes',
      ]);
      expect(await readZoneState(opened.ledger)).toMatchObject({ zone: 'green', held: false });
      await expectWhole();

      const from = timeline.length;
      await writer.fill(async () => (await share()) >= 0.75);
      expect((await guard()).zone).toBe('green');
      expectInOrder(kindsSince(from), [
        'hold-refreshes',
        'block-transactions',
        'quiesced-backup',
        'restart-log',
        'unblock-transactions',
        'remove-obsolete',
        'release-refreshes',
      ]);
      const blocked = timeline.filter(({ action }) => action === 'block-transactions');
      expect(blocked.map(({ zone }) => zone)).toEqual(['red']);
      await expectWhole();
      expect(pages.some((text) => text.startsWith('the red zone is reached: archive'))).toBe(true);
    } finally {
      stop.abort();
      await archiving;
      await writer.stop();
      if (process.env['SHOW_TIMELINE'] !== undefined)
        for (const { at, zone, action, areas, detail } of timeline)
          console.log(at.slice(11, 23), zone.padEnd(6), (action ?? 'zone').padEnd(22), areas[0], '·', detail);
    }
    expect(writer.problems).toEqual([]);
    expect(writer.rows).toBeGreaterThan(0);
    const kinds = (await opened.ledger.list()).map(({ kind }) => kind);
    for (const kind of ['zone.changed', 'zone.force-backup', 'zone.quiesced-backup', 'removed'])
      expect(kinds).toContain(kind);
  }, 60_000);

  test('a backup that is pinned keeps everything: a human is paged, once, and nothing goes', async () => {
    const writer = await startZoneWriter(cluster, spoolDir);
    const { writePin, removePin } = await import('../../src/archive/pins.ts');
    const { openArchive, listBackups } = await import('../../src/archive/repository.ts');
    const archive = await openArchive(opened.site.archive.location);
    const label = (await listBackups(archive)).at(-1)?.label ?? '';
    await writePin(archive, label, { by: 'test', why: 'a test', at: new Date().toISOString() });
    const step = { signal: never, onProgress: silent };
    await withArchiver(opened.site, cluster.address, step, async (archiver) => {
      await writer.fill(async () => {
        await archiver.drain();
        return (await share()) >= 0.52;
      });
    });
    await writer.stop();
    const from = timeline.length;
    expect((await guard()).zone).toBe('yellow');
    expect((await guard()).zone).toBe('yellow');
    expect(kindsSince(from).filter((kind) => kind === 'page-human')).toHaveLength(1);
    expect(kindsSince(from)).not.toContain('remove-obsolete');
    await expectWhole();
    await removePin(archive, label);
    expect((await guard()).zone).toBe('green');
    await expectWhole();
  }, 60_000);

  test('killed in a backup, and killed while it removes, it is simply run again', async () => {
    const writer = await startZoneWriter(cluster, spoolDir);
    const { location, mirror } = opened.site.archive;
    const step = { signal: never, onProgress: silent };
    await withArchiver(opened.site, cluster.address, step, async (archiver) => {
      await writer.fill(async () => {
        await archiver.drain();
        return (await share()) >= 0.52;
      });
    });
    const log = join(location, 'log', '00000001');
    const before = (await readdir(log)).length;
    const drafts = async (): Promise<boolean> =>
      (await readdir(join(location, 'backups'))).some((name) => name.endsWith('.partial'));
    await killChildWhen(drafts);
    await expectWhole();
    // Those below the mark of the newest backup go before the backup that is forced, or after it: either is fine.
    await killChildWhen(async () => (await readdir(log)).length < before - 3);
    await expectWhole();
    await writer.stop();
    expect((await guard()).zone).toBe('green');
    await expectWhole();
    for (const folder of [location, mirror!])
      expect((await readdir(join(folder, 'backups'))).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(writer.problems).toEqual([]);
  }, 60_000);

  const killChildWhen = async (isTime: () => Promise<boolean>): Promise<void> => {
    const child = spawn(process.execPath, [childFile, join(folder, 'clona.yaml')], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const closed = once(child, 'close');
    while (child.exitCode === null && !(await isTime()));
    child.kill('SIGKILL');
    expect(await closed).toEqual([null, 'SIGKILL']);
  };

  test('two guards at once: the second is told who has the site', async () => {
    const { acquireSiteLock } = await import('../../src/control/lock.ts');
    await using _lock = await acquireSiteLock(opened.control, { who: 'amra', what: 'refresh' }, new Date());
    await expect(guard()).rejects.toMatchObject({ kind: 'locked' });
  });
});
