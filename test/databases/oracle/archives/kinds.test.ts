import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  recogniseOracleFile,
  type DatafileHeader,
  type RedoHeader,
} from '../../../../src/databases/oracle/archives/file-header.ts';
import {
  chooseNewestExport,
  readArchiveSets,
  type ArchiveFile,
} from '../../../../src/databases/oracle/archives/kinds.ts';
import { scanArchiveFolder } from '../../../../src/databases/oracle/archives/scan.ts';
import { redoBlocks } from '../../../oracle-sim/instance/physical/block-headers.ts';
import { stampOf } from '../../../oracle-sim/instance/physical/stamps.ts';
import type { RedoLog } from '../../../oracle-sim/instance/physical/types.ts';
import { writeDump } from '../../../oracle-sim/pump/dump-file.ts';
import { makeTestFolder } from '../../../support/machine.ts';

interface Made {
  type: number;
  state?: number;
  file?: number;
  tag?: string;
  checkpoint?: bigint;
  blockBytes?: number;
  little?: boolean;
}

/** A header with the offsets that public descriptions of BBED give. */
function blocks({
  type,
  state = 0,
  file = 1,
  tag = '',
  checkpoint = 0x1_0000_0002n,
  blockBytes = 8192,
  little = true,
}: Made): Buffer {
  const bytes = Buffer.alloc(blockBytes * 2);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(20, blockBytes, little);
  view.setUint32(28, 0x7a7b7c7d, little);
  const at = (offset: number): number => blockBytes + offset;
  view.setUint32(at(28), 1_234_567_890, little);
  bytes.write('ERP', at(32), 'latin1');
  view.setUint32(at(44), 100, little);
  view.setUint16(at(52), file, little);
  view.setUint16(at(54), type, little);
  bytes.write(tag, at(64), 'latin1');
  view.setUint16(at(138), state, little);
  view.setUint32(at(116), 7, little);
  view.setUint16(at(336), 6, little);
  bytes.write('SYSTEM', at(338), 'latin1');
  view.setUint32(at(384), 9, little);
  view.setUint32(at(484), Number(checkpoint & 0xffff_ffffn), little);
  view.setUint32(at(492), stampOf(Date.parse('2017-03-08T15:57:31Z')), little);
  view.setUint16(at(488), Number(checkpoint >> 32n), little);
  return bytes;
}

describe('a file is recognised by its content', () => {
  test('a datafile with its checkpoint beyond 32 bits, in both byte orders', () => {
    for (const little of [true, false]) {
      expect(recogniseOracleFile(blocks({ type: 3, little, file: 4, state: 0x2004 }))).toEqual({
        kind: 'datafile',
        dbid: '1234567890',
        database: 'ERP',
        blockBytes: 8192,
        blocks: 100,
        file: 4,
        tag: null,
        tablespace: 'SYSTEM',
        resetlogs: '7',
        checkpoint: '4294967298',
        checkpointTime: '2017-03-08T15:57:31',
        absoluteFuzzy: '9',
        inBackupMode: false,
        fuzzy: true,
      });
    }
  });

  test.each([
    [1, 16_384, 'control file'],
    [2, 512, 'unknown'],
    [4, 8192, 'backup piece'],
    [9, 8192, 'unknown'],
  ])('type %i in blocks of %i bytes is: %s', (type, blockBytes, kind) => {
    expect(recogniseOracleFile(blocks({ type, blockBytes })).kind).toBe(kind);
  });

  test.each([
    [
      'a dump of exp',
      Buffer.from('\x03\x03iEXPORT:V11.02.00\nUSCOTT\nRTABLES\n', 'latin1'),
      { kind: 'original dump', version: '11.02.00', user: 'SCOTT' },
    ],
    ['a text', Buffer.from('EXPORT of the year'), { kind: 'unknown' }],
    ['nothing', Buffer.alloc(0), { kind: 'unknown' }],
    ['a datafile that is cut off', blocks({ type: 3 }).subarray(0, 8300), { kind: 'unknown' }],
  ])('%s', (_, bytes, expected) => {
    expect(recogniseOracleFile(bytes)).toMatchObject(expected);
  });
});

test.each([0x1_0000_0002n, 9_007_199_254_740_993n, (1n << 62n) - 3n])(
  'a log says thread, sequence and where it begins and ends, at %s, too',
  (first) => {
    const log = {
      dbid: 1_234_567_890n,
      thread: 2,
      sequence: 70_000,
      resetlogsScn: 5n,
      firstScn: first,
      firstAt: Date.parse('2024-03-12T09:00:00Z'),
      nextScn: first + 1n,
      nextAt: Date.parse('2024-03-12T11:00:00Z'),
    } as RedoLog; // what its blocks say
    expect(recogniseOracleFile(redoBlocks(log))).toEqual({
      kind: 'redo log',
      dbid: '1234567890',
      database: 'SIM',
      blockBytes: 512,
      thread: 2,
      sequence: 70_000,
      resetlogs: '5',
      first: String(first),
      firstTime: '2024-03-12T09:00:00',
      next: String(first + 1n),
      nextTime: '2024-03-12T11:00:00',
    });
    expect(recogniseOracleFile(redoBlocks({ ...log, nextScn: null, nextAt: null }))).toMatchObject({
      next: null,
      nextTime: null,
    });
  },
);

const copy = (path: string, more: Partial<DatafileHeader> = {}): ArchiveFile => ({
  path,
  bytes: 1,
  content: {
    kind: 'datafile',
    dbid: '1',
    database: 'ERP',
    blockBytes: 8192,
    blocks: 1,
    file: 1,
    tag: null,
    tablespace: 'SYSTEM',
    resetlogs: '1',
    checkpoint: '100',
    checkpointTime: '2024-03-12T10:00:00',
    absoluteFuzzy: '0',
    inBackupMode: false,
    fuzzy: false,
    ...more,
  },
});
const other = (path: string, kind: 'control file' | 'backup piece'): ArchiveFile => ({
  path,
  bytes: 1,
  content: { kind, dbid: '1', database: 'ERP', blockBytes: 512 },
});
const redo = (path: string, more: Partial<RedoHeader> = {}): ArchiveFile => ({
  path,
  bytes: 1,
  content: {
    kind: 'redo log',
    dbid: '1',
    database: 'ERP',
    blockBytes: 512,
    thread: 1,
    sequence: 7,
    resetlogs: '1',
    first: '90',
    firstTime: '2024-03-12T09:00:00',
    next: '200',
    nextTime: '2024-03-12T11:00:00',
    ...more,
  },
});

describe('sets of copies', () => {
  test.each([
    [
      'a cold one',
      [copy('/a/1'), copy('/a/2', { file: 2 }), other('/a/c', 'control file')],
      'cold',
      true,
      [],
    ],
    [
      'a hot one with its logs',
      [copy('/a/1', { inBackupMode: true, fuzzy: true, checkpoint: '150' }), redo('/l/1')],
      'hot',
      true,
      [],
    ],
    [
      'a hot one without logs',
      [copy('/a/1', { inBackupMode: true })],
      'hot',
      false,
      ['there are no archived logs beside it: without them it cannot be recovered'],
    ],
    [
      'a copy of an open file without backup mode',
      [copy('/a/1', { fuzzy: true }), redo('/l/1')],
      'hot',
      false,
      ['file 1 was copied while it was open and not in backup mode: its blocks may be torn'],
    ],
    [
      'a copy without SYSTEM',
      [copy('/a/4', { file: 4 }), other('/a/c', 'control file')],
      'cold',
      false,
      ['file 1 (SYSTEM) is not among them'],
    ],
  ])('%s', (_, files, kind, usable, reasons) => {
    expect(readArchiveSets(files, [])).toMatchObject([{ kind, usable, reasons }]);
  });

  test("copies with RMAN's tag and pieces are RMAN's", () => {
    const sets = readArchiveSets([copy('/a/1', { tag: 'TAG2025' }), other('/a/p', 'backup piece')], []);
    expect(sets).toMatchObject([{ kind: 'rman', files: ['/a/p', '/a/1'] }]);
  });
});

describe('exports in a folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await makeTestFolder();
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  const dump = (name: string): string => {
    const path = join(folder, name);
    const header = {
      format: 5,
      guid: 'AB',
      number: 1,
      files: 1,
      job: '"S"."J"',
      platform: 'x',
      instance: 'ERP',
    };
    writeDump(path, {
      header: {
        ...header,
        characterSet: 'AL32UTF8',
        version: '19.00.00.00.00',
        createdAt: '',
        encryption: 'none',
        passwordHash: null,
      },
      master: null,
      tables: [],
    });
    return path;
  };
  const log = async (name: string, dumps: string[], end: string): Promise<void> => {
    const lines = [
      'Starting "S"."SYS_EXPORT_SCHEMA_01":  s/******** schemas=s',
      '. . exported "S"."T"   5.4 KB   2 rows',
      'Dump file set for S.SYS_EXPORT_SCHEMA_01 is:',
      ...dumps.map((one) => `  /elsewhere/${one}`),
      end,
      '',
    ];
    await writeFile(join(folder, name), lines.join('\n'));
  };
  const good =
    'Job "S"."SYS_EXPORT_SCHEMA_01" successfully completed at Thu May 1 08:05:05 2025 elapsed 0 00:00:05';

  test('the newest by proof wins over a newer file date, a cut log and a missing part', async () => {
    await mkdir(join(folder, 'old'));
    const oldest = dump('old/mon.dmp');
    const older = dump('tue.dmp');
    dump('wed01.dmp');
    dump('thu.dmp');
    dump('nolog.dmp');
    await log('old/mon.log', ['mon.dmp'], good);
    await log('tue.log', ['TUE.DMP'], good);
    await log('wed.log', ['wed01.dmp', 'wed02.dmp'], good);
    await log('thu.log', ['thu.dmp'], '');
    await writeFile(join(folder, 'readme.txt'), 'not a log');
    await utimes(oldest, new Date(), new Date(Date.now() + 86_400_000));
    const sets = await scanArchiveFolder(folder, new AbortController().signal);
    const { chosen, rejected } = chooseNewestExport(
      sets,
      new Map([
        [oldest, 1],
        [older, 2],
      ]),
    );
    expect(chosen).toMatchObject({ files: [older], grade: 2 });
    expect(
      Object.fromEntries(rejected.map(({ name, reasons }) => [name.slice(folder.length + 1), reasons[0]])),
    ).toEqual({
      'wed.log': 'wed02.dmp is named in its log and missing',
      'thu.log': 'its log is incomplete: no closing line',
      'nolog.dmp': 'no log of its export is beside it: nobody knows whether it is whole',
      'old/mon.log': 'an older one',
    });
  });

  test('a dump of exp belongs to the log of its name', async () => {
    await writeFile(
      join(folder, 'erp.dmp'),
      Buffer.from('\x03\x03iEXPORT:V11.02.00\nUERP\nRUSERS\n', 'latin1'),
    );
    await writeFile(
      join(folder, 'erp.log'),
      'About to export specified users ...\n. . exporting table    ORDERS    3 rows exported\nExport terminated successfully without warnings.\n',
    );
    const sets = await scanArchiveFolder(folder, new AbortController().signal);
    expect(sets).toMatchObject([{ kind: 'original', usable: true, files: [join(folder, 'erp.dmp')] }]);
  });

  test('an export without Data Pump is dated by its log, and chosen only where imp can be had', async () => {
    await writeFile(
      join(folder, 'erp.dmp'),
      Buffer.from('\x03\x03iEXPORT:V11.02.00\nUERP\nRUSERS\n', 'latin1'),
    );
    await writeFile(
      join(folder, 'erp.log'),
      'Export: Release 11.2.0.4.0 - Production on Thu May 1 08:04:59 2025\n. . exporting table    ORDERS    3 rows exported\nExport terminated successfully without warnings.\n',
    );
    const sets = await scanArchiveFolder(folder, new AbortController().signal);
    expect(sets).toMatchObject([{ startedAt: Date.parse('2025-05-01T08:04:59Z') }]);
    expect(chooseNewestExport(sets, new Map()).chosen).toBeNull();
    expect(chooseNewestExport(sets, new Map(), ['pump', 'original']).chosen).toMatchObject({
      kind: 'original',
    });
  });

  test('nothing usable is no choice', () => {
    expect(chooseNewestExport([], new Map())).toEqual({ chosen: null, rejected: [] });
  });
});
