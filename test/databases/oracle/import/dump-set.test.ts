import { expect, test } from 'vitest';
import { decideDump, losesCharacters } from '../../../../src/databases/oracle/import/decide-dump.ts';
import {
  groupDumpSets,
  readDumpFile,
  readDumpNames,
  type DumpFile,
} from '../../../../src/databases/oracle/import/dump-set.ts';
import { ClonaError } from '../../../../src/errors.ts';

const file = (number: number, more: Partial<DumpFile> = {}): DumpFile => ({
  ...readDumpFile(
    `erp0${number}.dmp`,
    1,
    `1=5.1\n2=${number === 1 ? 1 : 0}\n3=ABC\n4=${number}\n5=873\n8="S"."J"\n11=AL32UTF8\n15=19.00.00.00.00\n16=1\n17=1\n19=0\n20=0\n22=2`,
  ),
  ...more,
});

test('reads what a file says of itself', () => {
  expect(file(1)).toMatchObject({
    type: 'pump',
    guid: 'ABC',
    number: 1,
    hasMaster: true,
    characterSet: 'AL32UTF8',
    databaseVersion: '19.00.00.00.00',
    encryption: 'none',
  });
  expect(readDumpFile('old.dmp', 2, '5=31')).toMatchObject({ type: 'original', guid: null });
  expect(readDumpFile('x', 0, '').type).toBe('unreadable');
});

test.each([
  ['a part in the middle', [file(1), file(3)], ['part 2 is missing']],
  [
    'the part with the master table',
    [file(2), file(3)],
    ['part 1 is missing', 'no part holds the master table: the export did not end, or that part is missing'],
  ],
  [
    'a part that is there twice',
    [file(1), file(2), file(2, { name: 'copy.dmp' })],
    ['part 2 is there twice'],
  ],
  [
    'a piece of the master table',
    [file(1, { masterPieces: 2 })],
    ['1 of 2 pieces of the master table are missing'],
  ],
])('a dump set lacks %s', (_, files, problems) => {
  expect(groupDumpSets(files)).toMatchObject([{ complete: false, problems }]);
});

test('a last part that is missing is known from the log of the export alone', () => {
  const log = `Master table "SYS"."SYS_EXPORT_SCHEMA_01" erfolgreich geladen/entladen
******************************************************************************
Für SYS.SYS_EXPORT_SCHEMA_01 festgelegte Dumpdatei ist:
  /backup/ERP01.DMP
  /backup/erp02.dmp
Job "SYS"."SYS_EXPORT_SCHEMA_01" successfully completed at Thu May 1 08:05:05 2025 elapsed 0 00:00:05`;
  const named = readDumpNames(log);
  expect(named).toEqual(['/backup/ERP01.DMP', '/backup/erp02.dmp']);
  expect(groupDumpSets([file(1)]).map(({ complete }) => complete)).toEqual([true]);
  expect(groupDumpSets([file(1)], named)).toMatchObject([
    { problems: ['erp02.dmp is named in the log of the export and is missing'] },
  ]);
  expect(groupDumpSets([file(1), file(2)], named)).toMatchObject([{ complete: true }]);
});

test('files of two exports are two sets', () => {
  const sets = groupDumpSets([file(1), file(1, { guid: 'DEF', name: 'other.dmp' }), file(2)]);
  expect(sets.map(({ guid, files }) => [guid, files.length])).toEqual([
    ['ABC', 2],
    ['DEF', 1],
  ]);
});

const server = { version: '19.21.0.0.0', compatible: '19.0.0', characterSet: 'AL32UTF8' };
const decide = (files: DumpFile[], more = {}, encryptionPassword = false) => {
  const [set] = groupDumpSets(files);
  return decideDump(set!, { ...server, ...more }, { encryptionPassword });
};
const kindOf = (work: () => unknown): [string, number] | undefined => {
  try {
    work();
  } catch (error) {
    if (error instanceof ClonaError) return [error.kind, error.exitCode];
  }
  return undefined;
};

test.each([
  ['of a newer version', [file(1, { databaseVersion: '23.00.00.00.00' })], 'databaseVersion', 2],
  ['encrypted by a password', [file(1, { encryption: 'password' })], 'secretMissing', 2],
  ['encrypted nobody knows how', [file(1, { encryption: 'unknown' })], 'secretMissing', 2],
  ['incomplete', [file(1), file(3)], 'proofFailed', 4],
])('a dump that is %s is refused before anything is created', (_, files, kind, exit) => {
  expect(kindOf(() => decide(files))).toEqual([kind, exit]);
});

test('COMPATIBLE decides, and the hint says what raising it means', () => {
  const newer = [file(1, { databaseVersion: '12.02.00.00.00' })];
  expect(kindOf(() => decide(newer, { compatible: '12.1.0.2' }))).toEqual(['databaseVersion', 2]);
  expect(decide(newer)).toEqual({ warnings: [] });
});

test('letters that would be lost are refused, and told where somebody accepts it', () => {
  const [set] = groupDumpSets([file(1, { characterSet: 'AL32UTF8' })]);
  const small = { ...server, characterSet: 'WE8MSWIN1252' };
  expect(kindOf(() => decideDump(set!, small, { encryptionPassword: false }))).toEqual(['serverUnfit', 2]);
  const accepted = { encryptionPassword: false, acceptCharacterLoss: true };
  expect(decideDump(set!, small, accepted).warnings[0]).toContain('replacement signs');
});

test('a password opens it, a keystore is warned of, another update of a release is no other version', () => {
  expect(decide([file(1, { encryption: 'password' })], {}, true).warnings).toEqual([]);
  expect(decide([file(1, { encryption: 'wallet' })]).warnings[0]).toContain('keystore');
  expect(decide([file(1, { databaseVersion: '19.05.00.00.00' })]).warnings).toEqual([]);
});

test.each([
  ['AL32UTF8', 'WE8MSWIN1252', true],
  ['WE8MSWIN1252', 'AL32UTF8', false],
  ['WE8ISO8859P1', 'WE8MSWIN1252', false],
  ['CL8MSWIN1251', 'WE8MSWIN1252', true],
  ['US7ASCII', 'ZHS16GBK', false],
])('from %s into %s letters are lost: %s', (from, to, lost) => {
  expect(losesCharacters(from, to)).toBe(lost);
});
