import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildCatalog } from '../../../src/databases/oracle/catalog.ts';
import type { ControlFileRows } from '../../../src/databases/oracle/control-file.ts';
import { memoryName, readMemory, writeMemory } from '../../../src/databases/oracle/memory.ts';
import { mergeRemembered } from '../../../src/databases/oracle/remember.ts';
import { readRestoreFacts } from '../../../src/databases/oracle/restore-facts.ts';
import {
  recallOracle,
  rememberBackup,
  rememberGrade,
  rememberOracle,
  type OracleCatalog,
} from '../../../src/databases/oracle/site-catalog.ts';
import type { Backup } from '../../../src/recovery/catalog.ts';
import { planRecovery } from '../../../src/recovery/plan.ts';
import { parseUntil } from '../../../src/recovery/question.ts';
import { decideRetention } from '../../../src/retention/retention.ts';
import { addLog, addRow, addSet, at, openDatabase } from '../../support/oracle-rows.ts';

const first = 'TAG20170308T100000';
const second = 'TAG20170308T110000';

function addBoth() {
  const rows = openDatabase();
  for (const [tag, checkpoint, hour] of [
    [first, '100', '10'],
    [second, '500', '11'],
  ] as const) {
    const files = [
      { file: '1', checkpoint, fuzzy: String(Number(checkpoint) + 5) },
      { file: '2', checkpoint },
    ];
    addSet(rows, { tag, files, started: at(`${hour}:00`), finished: at(`${hour}:05`) });
  }
  addLog(rows, ['1', '1', '50', '300']);
  addLog(rows, ['1', '2', '300', '900']);
  return rows;
}

/** As the control file looks when the records of the first backup and the first log were used again. */
function forgetFirst() {
  const rows = addBoth();
  rows.backupSets.shift();
  rows.backupPieces.shift();
  rows.backupDatafiles.splice(0, 2);
  rows.archivedLogs.shift();
  return rows;
}

test('a backup that the control file has forgotten does not raise the low water mark', () => {
  const remembered = buildCatalog(addBoth()).catalog;
  const live = buildCatalog(forgetFirst()).catalog;
  const now = Date.parse('2017-03-08T20:00:00Z');
  const policy = { redundancy: 2, windowDays: 0, orphanDays: 0 };
  expect(decideRetention(live, policy, now).lowWaterMarks[0]?.position).toBe(500n);
  const { catalog, forgotten } = mergeRemembered(live, remembered);
  expect(forgotten).toEqual([first]);
  expect(decideRetention(catalog, policy, now).lowWaterMarks[0]?.position).toBe(100n);
  expect(catalog.logs).toHaveLength(2);
});

test('what both know is as the control file says it, but for the grade that only clona knows', () => {
  const remembered = buildCatalog(addBoth()).catalog;
  Object.assign(remembered.backups[1]!, { grade: 4, pinned: true });
  const rows = addBoth();
  rows.backupPieces[1]!.status = 'X';
  const { catalog } = mergeRemembered(buildCatalog(rows).catalog, remembered);
  // NOKEEP since: the pin is RMAN's, and so is its end.
  expect(catalog.backups[1]).toMatchObject({ label: second, state: 'expired', grade: 4, pinned: false });
});

test('an incarnation key that came back with another content gets a key of its own', () => {
  const rows = addBoth();
  addRow(rows, 'incarnations', {
    id: '2',
    prior: '1',
    resetlogs: '400',
    resetlogsTime: at('12:00'),
    priorResetlogs: '1',
    priorResetlogsTime: at('01:00'),
    status: 'ORPHAN',
  });
  const remembered = buildCatalog(rows).catalog;
  rows.incarnations[1]!.resetlogsTime = '2017-03-08T14:30:01';
  const { catalog } = mergeRemembered(buildCatalog(rows).catalog, remembered);
  expect(catalog.incarnations.map(({ id, parent, branchPosition }) => [id, parent, branchPosition])).toEqual([
    [1, null, 1n],
    [2, 1, 400n],
    [3, 1, 400n],
  ]);
});

test('times that are read with another offset since are the same incarnations', () => {
  const rows = addBoth();
  const remembered = buildCatalog(rows, 'Europe/Sarajevo').catalog;
  const { catalog } = mergeRemembered(buildCatalog(rows).catalog, remembered);
  expect(catalog.incarnations).toHaveLength(1);
});

test('a backup whose record comes back is the same one, with its grade', () => {
  const all = buildCatalog(addBoth()).catalog;
  all.backups[0]!.grade = 3;
  const without = mergeRemembered(buildCatalog(forgetFirst()).catalog, all).catalog;
  // CATALOG START WITH gives a record of its own: no RMAN job is known any more.
  const rows = addBoth();
  for (const piece of rows.backupPieces) Object.assign(piece, { jobRecid: null, jobStamp: null });
  const { catalog, forgotten } = mergeRemembered(buildCatalog(rows).catalog, without);
  expect(forgotten).toEqual([]);
  expect(catalog.backups.map(({ label, grade }) => [label, grade])).toEqual([
    [first, 3],
    [second, null],
  ]);
  expect(catalog.logs).toHaveLength(2);
});

test('RESETLOGS in between: what was remembered of the branch that was left serves that branch only', () => {
  const remembered = buildCatalog(addBoth()).catalog;
  const rows = forgetFirst();
  rows.backupSets.length = 0;
  rows.backupPieces.length = 0;
  rows.backupDatafiles.length = 0;
  rows.archivedLogs.length = 0;
  const now = { resetlogs: '400', resetlogsTime: at('12:00') };
  const of = { priorResetlogs: '1', priorResetlogsTime: at('01:00') };
  rows.incarnations[0]!.status = 'PARENT';
  addRow(rows, 'incarnations', { id: '2', prior: '1', ...now, ...of, status: 'CURRENT' });
  Object.assign(rows.database[0]!, now);
  addLog(rows, ['1', '1', '400', '700'], now);
  const { catalog, warnings } = mergeRemembered(buildCatalog(rows).catalog, remembered);
  expect(warnings).toEqual([]);
  const until = (text: string) =>
    planRecovery(catalog, { until: parseUntil(text), lost: 'online-log' } as const);
  expect(until('position:600')).toMatchObject({ backup: first, target: { incarnation: 2 } });
  expect(until('incarnation:1@800')).toMatchObject({ backup: second, resetDatabaseToIncarnation: 1 });
});

test.each([
  [
    'that stands before what was archived already',
    (rows: ControlFileRows) => {
      rows.archivedLogs.splice(0);
      Object.assign(rows.database[0]!, { checkpoint: '600', currentScn: '610' });
      const current = { status: 'CURRENT', next: '18446744073709551615', firstTime: at('10:00') };
      addRow(rows, 'onlineLogs', { group: '1', thread: '1', sequence: '2', first: '300', ...current });
    },
    /the server stands at 991 of incarnation 1, its archived log was seen up to 1900/,
  ],
  [
    'that archived other content under a known name',
    (rows: ControlFileRows) => void (rows.archivedLogs[1]!.first = '290'),
    /1 logs have another content .* 1\/1\/2 .*RESETLOGS before it archives/,
  ],
])('a LIVE that was reverted, %s, is said so', (_, revert, expected) => {
  const seen = addBoth();
  addLog(seen, ['1', '3', '900', '1900']);
  const rows = addBoth();
  addLog(rows, ['1', '3', '900', '1900']);
  revert(rows);
  const live = buildCatalog(rows).catalog;
  const { warnings } = mergeRemembered(live, buildCatalog(seen).catalog);
  expect(warnings).toEqual([expect.stringMatching(expected)]);
  expect(mergeRemembered(live, live).warnings).toEqual([]);
});

test('a level whose base neither knows any more is not available', () => {
  const remembered = buildCatalog(addBoth()).catalog;
  remembered.backups[0]!.requires = ['TAG20170301T100000'];
  const { catalog } = mergeRemembered(buildCatalog(forgetFirst()).catalog, remembered);
  expect(catalog.backups[0]).toMatchObject({ label: first, state: 'missing', requires: [] });
});

describe('in the folders of archive and mirror', () => {
  const { signal } = new AbortController();
  let folder: string;
  let places: { archiveDir: string; mirrorDir: string };
  let found: OracleCatalog;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clona-oracle-'));
    places = { archiveDir: join(folder, 'archive'), mirrorDir: join(folder, 'mirror') };
    for (const one of Object.values(places)) await mkdir(one);
    const rows = addBoth();
    const built = buildCatalog(rows);
    found = { catalog: built.catalog, facts: readRestoreFacts(rows, built), warnings: [] };
  });
  afterEach(async () => rm(folder, { recursive: true }));

  const hot = (label: string): Backup => ({ ...found.catalog.backups[0]!, label, kind: 'hot' });
  const labels = async (): Promise<string[] | undefined> =>
    (await recallOracle(places, signal))?.catalog.backups.map(({ label }) => label).sort();

  test('the memory is a catalog file with what a restore needs, and a broken one is said to be broken', async () => {
    expect(await readMemory(folder, signal)).toBeUndefined();
    await writeMemory([folder], { ...found, readAt: '2017-03-08T20:00:00Z' });
    const read = await readMemory(folder, signal);
    expect(read?.catalog).toEqual(found.catalog);
    expect(read?.facts).toMatchObject({ dbid: '1234567890', pieces: { [first]: [expect.any(String)] } });
    await writeFile(join(folder, memoryName), '{');
    await expect(readMemory(folder, signal)).rejects.toMatchObject({ kind: 'archiveDamaged' });
  });

  test('many writers at once lose nothing of each other', async () => {
    await rememberOracle(found, places, '2017-03-08T20:00:00Z');
    await Promise.all([
      ...['H1', 'H2', 'H3'].map(async (label) => rememberBackup(places, hot(label), [`/${label}`], signal)),
      rememberGrade(places, first, 3, signal),
      // A reading that began before all of them, and is written in their midst.
      rememberOracle(found, places, '2017-03-08T20:00:00Z'),
    ]);
    expect(await labels()).toEqual(['H1', 'H2', 'H3', first, second].sort());
    const { catalog, facts } = (await recallOracle(places, signal))!;
    expect(catalog.backups.find(({ label }) => label === first)?.grade).toBe(3);
    expect(facts.pieces['H2']).toEqual(['/H2']);
  });

  test('an older reading that is written late takes nothing back', async () => {
    await rememberOracle(found, places, '2017-03-08T20:00:00Z');
    await rememberGrade(places, first, 3, signal);
    await rememberGrade(places, first, 0, signal);
    const stale = {
      ...found.catalog,
      backups: found.catalog.backups.map((one) => ({ ...one, grade: one.label === first ? 3 : null })),
    };
    await rememberOracle({ ...found, catalog: stale }, places, '2017-03-08T19:00:00Z');
    expect((await recallOracle(places, signal))?.catalog.backups[0]).toMatchObject({
      label: first,
      grade: 0,
    });
  });

  test('a damaged one is served by the mirror, said, and written anew', async () => {
    await rememberOracle(found, places, '2017-03-08T20:00:00Z');
    await writeFile(join(places.archiveDir, memoryName), '{');
    expect((await recallOracle(places, signal))?.warnings.join()).toMatch(/is no catalog that clona wrote/);
    await rememberBackup(places, hot('H1'), [], signal);
    expect((await readMemory(places.archiveDir, signal))?.catalog.backups).toHaveLength(3);
  });

  test('a crash between the two leaves the later one', async () => {
    await rememberOracle(found, places, '2017-03-08T20:00:00Z');
    await rememberBackup({ archiveDir: places.archiveDir }, hot('H1'), [], signal);
    expect(await labels()).toContain('H1');
    expect((await readMemory(places.mirrorDir, signal))?.catalog.backups).toHaveLength(2);
  });
});
