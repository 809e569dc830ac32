import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildCatalog } from '../../../src/databases/oracle/catalog.ts';
import { memoryName, readMemory, writeMemory } from '../../../src/databases/oracle/memory.ts';
import { mergeRemembered } from '../../../src/databases/oracle/remember.ts';
import { readRestoreFacts } from '../../../src/databases/oracle/restore-facts.ts';
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

test('what both know is as the control file says it, but for the grade and the pin that only clona knows', () => {
  const remembered = buildCatalog(addBoth()).catalog;
  Object.assign(remembered.backups[1]!, { grade: 4, pinned: true });
  const rows = addBoth();
  rows.backupPieces[1]!.status = 'X';
  const { catalog } = mergeRemembered(buildCatalog(rows).catalog, remembered);
  expect(catalog.backups[1]).toMatchObject({ label: second, state: 'expired', grade: 4, pinned: true });
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

test('a level whose base neither knows any more is not available', () => {
  const remembered = buildCatalog(addBoth()).catalog;
  remembered.backups[0]!.requires = ['TAG20170301T100000'];
  const { catalog } = mergeRemembered(buildCatalog(forgetFirst()).catalog, remembered);
  expect(catalog.backups[0]).toMatchObject({ label: first, state: 'missing', requires: [] });
});

test('the memory is a catalog file with what a restore needs, and a broken one is said to be broken', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'clona-oracle-'));
  try {
    const { signal } = new AbortController();
    expect(await readMemory(folder, signal)).toBeUndefined();
    const rows = addBoth();
    const built = buildCatalog(rows);
    const facts = readRestoreFacts(rows, built);
    await writeMemory([folder], { catalog: built.catalog, facts, readAt: '2017-03-08T20:00:00Z' });
    const read = await readMemory(folder, signal);
    expect(read?.catalog).toEqual(built.catalog);
    expect(read?.facts).toMatchObject({ dbid: '1234567890', pieces: { [first]: [expect.any(String)] } });
    await writeFile(join(folder, memoryName), '{');
    await expect(readMemory(folder, signal)).rejects.toMatchObject({ kind: 'archiveDamaged' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
