import { describe, expect, test } from 'vitest';
import {
  estimateNeeds,
  requireFitClone,
  type CloneFacts,
} from '../../../src/databases/oracle/examine-clone.ts';
import { decideResumption, type RestoreMark } from '../../../src/databases/oracle/restore-mark.ts';
import type { RestoreFacts } from '../../../src/databases/oracle/restore-facts.ts';
import type { RestoreTarget } from '../../../src/databases/oracle/restore-target.ts';

const GiB = 2 ** 30;
const facts: RestoreFacts = {
  dbid: '1789012345',
  name: 'ERP',
  uniqueName: 'ERP',
  version: '19.0.0.0.0',
  platform: 'Linux x86 64-bit',
  cdb: false,
  compatible: '19.0.0',
  zone: { offsetMinutes: 0 } as RestoreFacts['zone'],
  datafiles: [
    { file: 1, name: '/u01/system01.dbf', tablespace: 'SYSTEM', bytes: 2 * GiB },
    { file: 2, name: '/u01/erp01.dbf', tablespace: 'ERP', bytes: 30 * GiB },
  ] as RestoreFacts['datafiles'],
  controlFiles: [],
  pieces: {},
  onlineLogs: [
    { group: 1, thread: 1, bytes: GiB },
    { group: 2, thread: 1, bytes: GiB },
  ],
};
const target: RestoreTarget = {
  platform: 'linux',
  databaseName: 'CLONAERP',
  instanceName: 'CLONAERP',
  dataDir: '/data/clona',
  recoveryDir: '/data/recovery',
  recoveryBytes: 50 * GiB,
  archiveDirs: ['/archive/'],
  channels: 1,
};
const clone: CloneFacts = {
  free: { dataBytes: 100 * GiB, recoveryBytes: 100 * GiB, shared: true },
  memoryBytes: 16 * GiB,
  version: '19.21.0.0.0',
  running: null,
};
const logs = Array.from({ length: 10 }, (_, index) => ({ incarnation: 1, thread: 1, sequence: index + 1 }));
const needs = estimateNeeds(facts, { logs } as unknown as Parameters<typeof estimateNeeds>[1]);

test('room: every datafile, the online log, a control file, and four logs at once beside them', () => {
  expect(needs.dataBytes).toBe(34 * GiB + 64 * 2 ** 20);
  expect(needs.recoveryBytes).toBe(4 * GiB);
  expect(needs.seconds).toBeGreaterThan(60);
});

describe('a clone is looked at before the first byte', () => {
  test('one that fits has nothing to be said about it', () => {
    expect(requireFitClone(clone, facts, target, needs, false)).toEqual([]);
  });

  test.each<[string, Partial<CloneFacts>, Partial<RestoreFacts>, string, RegExp]>([
    [
      'data and logs do not fit on the one disk',
      { free: { dataBytes: 37 * GiB, recoveryBytes: 37 * GiB, shared: true } },
      {},
      'diskFull',
      /37\.0 GiB free, the restore needs 38\.1 GiB/,
    ],
    [
      'the disk of the data is too small',
      { free: { dataBytes: 10 * GiB, recoveryBytes: 900 * GiB, shared: false } },
      {},
      'diskFull',
      /\/data\/clona has 10\.0 GiB free/,
    ],
    [
      'the disk of the logs is too small',
      { free: { dataBytes: 900 * GiB, recoveryBytes: GiB, shared: false } },
      {},
      'diskFull',
      /\/data\/recovery has 1\.0 GiB free/,
    ],
    ['its release is lower', { version: '18.14.0.0.0' }, {}, 'databaseVersion', /older software cannot/],
    ['its release is higher', { version: '21.3.0.0.0' }, {}, 'databaseVersion', /only to upgrade/],
    [
      'its patch set is lower',
      { version: '12.1.0.1.0' },
      { version: '12.1.0.2.0' },
      'databaseVersion',
      /older software/,
    ],
    [
      'its platform is another one',
      {},
      { platform: 'Microsoft Windows x86 64-bit' },
      'serverUnfit',
      /platforms/,
    ],
    [
      'production itself runs there under that name',
      { running: { controlFiles: '/u01/c1.ctl', uniqueName: 'CLONAERP', dbid: '1789012345' } },
      {},
      'targetOccupied',
      /production itself/,
    ],
    [
      'another database runs there under that name',
      { running: { controlFiles: '/u05/c1.ctl', uniqueName: 'PAYROLL', dbid: '5' } },
      {},
      'targetOccupied',
      /another database, PAYROLL/,
    ],
  ])('%s: refused', (_, changed, other, kind, message) => {
    const look = () =>
      requireFitClone({ ...clone, ...changed }, { ...facts, ...other }, target, needs, false);
    expect(look).toThrow(expect.objectContaining({ kind, message: expect.stringMatching(message) }));
  });

  test('its recovery area may not hold four logs: refused', () => {
    const small = { ...target, recoveryBytes: GiB };
    expect(() => requireFitClone(clone, facts, small, needs, false)).toThrow(/may hold 1024 MiB.*4096 MiB/);
  });

  test.each<[string, Partial<CloneFacts>, RegExp]>([
    [
      'an older clone of that name runs there',
      { running: { controlFiles: '/data/yesterday/control01.ctl', uniqueName: 'CLONAERP', dbid: '77' } },
      /an older CLONAERP/,
    ],
    ['its room cannot be asked for', { free: null }, /room/],
    ['its version cannot be asked for', { version: null }, /version/],
  ])('%s: said', (_, changed, said) => {
    expect(requireFitClone({ ...clone, ...changed }, facts, target, needs, false).join()).toMatch(said);
  });

  test('a newer update of the same release is the same release', () => {
    expect(requireFitClone({ ...clone, version: '19.3.0.0.0' }, facts, target, needs, false)).toEqual([]);
  });

  test('what a broken-off try of this restore takes is not missing room', () => {
    const full = { ...clone, free: { dataBytes: 0, recoveryBytes: 0, shared: true } };
    expect(requireFitClone(full, facts, target, needs, true)).toEqual([]);
  });
});

describe('a restore that was broken off', () => {
  const wanted = { dbid: '1', backup: 'B1', incarnation: 2, until: '500', name: 'CLONAERP' };
  const mark: RestoreMark = { ...wanted, stage: 'opened', branchPosition: '501' };

  test.each([
    ['dbid', '2'],
    ['backup', 'B2'],
    ['incarnation', 3],
    ['until', '501'],
    ['name', 'OTHER'],
  ])('of another %s is not gone on with', (key, value) => {
    expect(() => decideResumption({ ...mark, [key]: value }, wanted, '/data')).toThrow(
      expect.objectContaining({
        kind: 'targetOccupied',
        message: expect.stringContaining(`its ${key} is another`),
      }),
    );
  });

  test.each([
    ['restoring', 'over'],
    ['opened', 'from'],
    ['renaming', 'from'],
    ['renamed', 'from'],
    ['restored', 'from'],
  ] as const)('at %s is taken up %s there', (stage, kind) => {
    expect(decideResumption({ ...mark, stage }, wanted, '/data').kind).toBe(kind);
  });

  test('and one that was fenced is a clone in use', () => {
    expect(() => decideResumption({ ...mark, stage: 'fenced' }, wanted, '/data')).toThrow(/let go/);
  });
});
