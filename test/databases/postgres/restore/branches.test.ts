import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readArchiveCatalog } from '../../../../src/databases/postgres/catalog.ts';
import { addLiveFacts } from '../../../../src/databases/postgres/catalog-live.ts';
import { readArchive } from '../../../../src/databases/postgres/catalog.ts';
import { connect } from '../../../../src/databases/postgres/connect.ts';
import { parseRestoreUntil } from '../../../../src/databases/postgres/restore/choose/until.ts';
import { startServer } from '../../../../src/databases/postgres/server.ts';
import { listIncarnations } from '../../../../src/recovery/incarnations.ts';
import { asPosition } from '../../../../src/recovery/position.ts';
import { createProduction, type Moment, type Production } from '../../../support/production.ts';
import { majorsAvailable } from '../../../support/cluster.ts';

const majors = await majorsAvailable();
const { signal } = new AbortController();

/**
 * 1 → 2 → 3 (abandoned) and 2 → 4 (current), as in the worked example of DOMAIN.md, with a backup on 1 and one on 2,
 * and every row in the test's journal.
 */
describe.each([18, 15])('branches of server %i', (major) => {
  let production: Production;
  const moments: Record<string, Moment> = {};

  beforeAll(async () => {
    if (!majors.includes(major)) return;
    production = await createProduction({ major });
    await production.write(5);
    await production.backup('B1');
    moments['onOne'] = await production.write(20);
    moments['toTwo'] = await production.write(20);
    await production.write(20);
    await production.archiveLog();

    await production.goBackTo({ kind: 'position', position: asPosition(moments['toTwo'].position) });
    await production.write(20);
    await production.backup('B2');
    moments['toFour'] = await production.write(20);
    moments['onTwo'] = await production.write(20);
    await production.archiveLog();

    await production.goBackTo({ kind: 'time', instantMs: moments['onTwo'].instantMs });
    moments['onThree'] = await production.write(20);
    {
      await using session = await production.connect();
      await session.query(`SELECT pg_create_restore_point('in three')`);
    }
    moments['endOfThree'] = await production.write(20);
    await production.archiveLog();

    await production.goBackTo({
      kind: 'incarnation',
      incarnation: 2,
      position: asPosition(moments['toFour'].position),
    });
    moments['onFour'] = await production.write(20);
    moments['endOfFour'] = await production.write(20);
    await production.archiveLog();
  });
  afterAll(async () => production?.[Symbol.asyncDispose]());

  test.skipIf(!majors.includes(major))('the catalog is the worked example', async () => {
    const catalog = await readArchiveCatalog(production.archive.folder, signal);
    expect(listIncarnations(catalog).map(({ id, prior, status, path }) => [id, prior, status, path])).toEqual(
      [
        [1, 0, 'PARENT', ' -> 1'],
        [2, 1, 'PARENT', ' -> 1 -> 2'],
        [3, 2, 'ORPHAN', ' -> 1 -> 2 -> 3'],
        [4, 2, 'CURRENT', ' -> 1 -> 2 -> 4'],
      ],
    );
    const [, two, three, four] = catalog.incarnations.map(({ branchPosition }) => branchPosition);
    expect(two).toBeGreaterThanOrEqual(moments['toTwo']!.position);
    expect(three).toBeGreaterThan(four!);
  });

  test.skipIf(!majors.includes(major))(
    'the live server names CURRENT and the log that is not archived yet',
    async () => {
      const { catalog, header } = await readArchive({ archiveDir: production.archive.folder }, signal);
      const moment = await production.write(1);
      const live = await addLiveFacts(catalog, production.cluster.address, signal, header.systemIdentifier);
      expect(live.currentIncarnation).toBe(4);
      expect(live.onlineLogs).toHaveLength(1);
      expect(live.onlineLogs[0]?.end).toBeGreaterThanOrEqual(moment.position);
      expect(live.onlineLogs[0]?.first).toBeLessThanOrEqual(catalog.logs.at(-1)!.next);
      await production.archiveLog();
      moments['endOfFour'] = moment;
    },
  );

  const cases: [string, () => string, () => [number, bigint]][] = [
    ['the end of the current branch', () => 'latest', () => [4, moments['endOfFour']!.position]],
    [
      'a position of the current branch',
      () => `position:${moments['onFour']!.position}`,
      () => [4, moments['onFour']!.position],
    ],
    [
      'a position of a parent',
      () => `position:${moments['onOne']!.position}`,
      () => [1, moments['onOne']!.position],
    ],
    ['the end of an orphan', () => 'incarnation:3', () => [3, moments['endOfThree']!.position]],
    [
      'a position of an orphan',
      () => `incarnation:3@${moments['onThree']!.position}`,
      () => [3, moments['onThree']!.position],
    ],
    ['a restore point of an orphan', () => 'restore-point:in three', () => [3, moments['onThree']!.position]],
    [
      'a position of a parent that its child left behind',
      () => `incarnation:2@${moments['onTwo']!.position}`,
      () => [2, moments['onTwo']!.position],
    ],
    [
      'a time of the current branch',
      () => `time:${new Date(moments['onFour']!.instantMs).toISOString()}`,
      () => [4, moments['onFour']!.position],
    ],
    [
      'a time of a parent',
      () => `time:${new Date(moments['onOne']!.instantMs).toISOString()}`,
      () => [1, moments['onOne']!.position],
    ],
  ];

  test.skipIf(!majors.includes(major)).each(cases)(
    '%s is restored row by row',
    async (_name, until, expected) => {
      const report = await production.restore({ until: parseRestoreUntil(until()) });
      const [timeline, position] = expected();
      expect(report.timelineBefore).toBe(timeline);
      expect(await production.readRows(report.target.folder)).toEqual(
        production.expectRows(timeline, position),
      );
      // A drill's timeline has a number that no branch of production has.
      expect(report.timelineAfter).toBeGreaterThan(4);
    },
  );

  test.skipIf(!majors.includes(major))('a backup alone is restored to its own end', async () => {
    const report = await production.restore({ until: { kind: 'backup', label: 'B2' } });
    const rows = await production.readRows(report.target.folder);
    expect(rows).toEqual(production.expectRows(2, BigInt(report.positionReached ?? 0)));
    expect(BigInt(report.lost.positions)).toBeGreaterThan(0n);
  });

  test.skipIf(!majors.includes(major))(
    "nothing of a drill gets into production's archive, even when it writes log",
    async () => {
      const listing = async (): Promise<string[]> =>
        (await readdir(join(production.archive.folder, 'log'), { recursive: true })).sort();
      const before = await listing();
      const report = await production.restore({ until: { kind: 'latest' } });
      const { binaries, runAs, folder } = production.cluster;
      await using server = await startServer({
        binaries,
        dataDir: report.target.folder,
        runAs,
        socketDir: join(folder, 'd'),
      });
      await using session = await connect(server.address());
      await session.query(`INSERT INTO journal SELECT -i, 'drill' FROM generate_series(1, 5000) i`);
      await session.query('SELECT pg_switch_wal()');
      await session.query('CHECKPOINT');
      const [archiver] = await session.query(
        `SELECT archived_count::int AS archived, current_setting('archive_mode') AS mode FROM pg_stat_archiver`,
      );
      expect(archiver).toEqual({ archived: 0, mode: 'off' });
      await production.archiveLog();
      const added = (await listing()).filter((name) => !before.includes(name));
      expect(added.filter((name) => !name.startsWith('00000004'))).toEqual([]);
    },
  );

  test.skipIf(!majors.includes(major))(
    'a time before the first backup ended is refused, and nothing is written',
    async () => {
      const target = join(production.cluster.folder, 'too-early');
      const refused = production.restore({
        until: { kind: 'time', instantMs: Date.now() - 3_600_000 },
        target,
      });
      await expect(refused).rejects.toMatchObject({ kind: 'targetUnreachable' });
      expect(
        (await readdir(production.cluster.folder)).filter((name) => name.startsWith('too-early')),
      ).toEqual([]);
    },
  );
});
