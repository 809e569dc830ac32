import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { asPosition } from '../../../../../src/recovery/position.ts';
import { createProduction, type Production } from '../../../../support/production.ts';

/** An archive of two timelines of which a part is gone. */
let production: Production;
let folder: string;
const latest = { until: { kind: 'latest' } } as const;

beforeAll(async () => {
  production = await createProduction();
  await production.write(5);
  await production.backup('B1');
  const { position } = await production.write(5);
  await production.write(5);
  await production.archiveLog();
  await production.goBackTo({ kind: 'position', position: asPosition(position) });
  await production.write(5);
  await production.archiveLog();
  folder = join(production.cluster.folder, 'part');
});
afterAll(async () => production?.[Symbol.asyncDispose]());
beforeEach(async () => cp(production.archive.folder, folder, { recursive: true }));
afterEach(async () => rm(folder, { recursive: true }));

test('without the .history file of the timeline that is asked for, the log itself tells where it begins', async () => {
  await rm(join(folder, 'log', '00000002.history'));
  const report = await production.restore({ ...latest, archiveDir: folder });
  expect(report.timelineBefore).toBe(2);
  // Without the five of the branch that was left.
  expect(await production.readRows(report.target.folder)).toHaveLength(15);
});

test('without that file and the log that it would tell of, the file is named', async () => {
  await rm(join(folder, 'log', '00000002.history'));
  const [first = ''] = (await readdir(join(folder, 'log', '00000002'))).sort();
  await rm(join(folder, 'log', '00000002', first));
  // The timeline is still known by what else is there.
  await writeFile(join(folder, 'log', '00000002.history'), '');
  await expect(production.restore({ ...latest, archiveDir: folder, dryRun: true })).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringContaining('00000002.history'),
    hint: expect.stringContaining('mirror'),
  });
  const mirrorDir = production.mirror.folder;
  const report = await production.restore({ ...latest, archiveDir: folder, mirrorDir, dryRun: true });
  expect(report.plan).toMatchObject({ target: { incarnation: 2 } });
});

test('without any backup, that is said', async () => {
  await rm(join(folder, 'backups'), { recursive: true });
  await expect(production.restore({ ...latest, archiveDir: folder })).rejects.toMatchObject({
    exitCode: 5,
    message: 'the archive holds no backup',
  });
});

test('without any log, the end of the backup is all there is, and that is said', async () => {
  await rm(join(folder, 'log'), { recursive: true });
  const report = await production.restore({ ...latest, archiveDir: folder, dryRun: true });
  expect(report.warnings.join('\n')).toMatch(/holds no log behind backup B1: .* committed after 20/);
  const whole = await production.restore({ ...latest, dryRun: true });
  expect(whole.warnings).toEqual([]);
});

test('without the primary, the mirror serves', async () => {
  const mirrorDir = production.mirror.folder;
  const report = await production.restore({ ...latest, archiveDir: `${folder}-gone`, mirrorDir });
  expect(report.timelineBefore).toBe(2);
});
