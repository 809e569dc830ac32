import { expect, test } from 'vitest';
import type { KeptLog } from '../../../src/databases/oracle/kept-logs.ts';
import { withinReachOfRman, writeRemovalProgram } from '../../../src/databases/oracle/rman-removal.ts';
import { bk, catalogOf, log } from '../../recovery/build.ts';

const kept: KeptLog = {
  path: '/archive/logs/1/1_1_1.arc.zst',
  mirror: '/mirror/logs/1/1_1_1.arc.zst',
  branch: '1',
  thread: 1,
  sequence: 1,
  first: '1',
  next: '50',
  firstTime: null,
  nextTime: null,
  state: 'available',
};

test('RMAN is told of its own pieces and logs only; what it does not know stands beside, to be removed by hand', () => {
  const logs = [log(1, 1, 50), log(2, 50, 90)];
  const backups = [
    bk('TAG1', 1),
    bk('TAG2', 60),
    bk('HOT', 1, 5, { kind: 'hot' }),
    bk('Q', 1, 5, { kind: 'quiesced' }),
    bk('cold_x', 1, 1, { kind: 'cold' }),
    bk('EXP', 1, 1, { kind: 'export' }),
  ];
  const catalog = catalogOf({ backups, logs });
  const going = ['TAG1', 'HOT', 'Q', 'cold_x', 'EXP'].map((label) => ({
    kind: 'backup' as const,
    label,
    reason: '',
  }));
  const steps = [...going, { kind: 'log' as const, log: logs[0]!, reason: '' }];
  const pieces = {
    TAG1: ['/fra/a.bkp', '/fra/shared.bkp'],
    TAG2: ['/fra/shared.bkp'],
    HOT: ['/archive/hot/HOT/file_1.dbf'],
    Q: ['/archive/hot/Q/file_1.dbf'],
    cold_x: ['/cold/system01.dbf'],
    EXP: ['/dumps/exp.dmp'],
  };
  const copies = { cold_x: { files: [], controlFile: null, logDirs: [] } };
  const program = writeRemovalProgram(steps, catalog, { pieces, copies, keptLogs: { [kept.path]: kept } });
  const commands = program.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(commands).toEqual([
    "DELETE NOPROMPT BACKUPPIECE '/fra/a.bkp';",
    'DELETE NOPROMPT ARCHIVELOG FROM SEQUENCE 1 UNTIL SEQUENCE 1 THREAD 1;',
  ]);
  const paths = ['/archive/hot/HOT/file_1.dbf', '/archive/hot/Q/file_1.dbf', '/cold/system01.dbf'];
  for (const path of [...paths, kept.path, kept.mirror!]) expect(program).toContain(`#   ${path}\n`);
});

test('within reach of RMAN is what its program removes: its own backups, and logs that the server still has', () => {
  const logs = [log(1, 1, 50), log(2, 50, 90)];
  const backups = [
    bk('TAG1', 1, 5, { bytes: 100 }),
    bk('SHARED', 1, 5, { bytes: 10 }),
    bk('TAG2', 60),
    bk('HOT', 1, 5, { kind: 'hot', bytes: 1000 }),
    bk('cold_x', 1, 1, { kind: 'cold', bytes: 1000 }),
    bk('EXP', 1, 1, { kind: 'export', bytes: 1000 }),
  ];
  const catalog = catalogOf({ backups, logs });
  const going = ['TAG1', 'SHARED', 'HOT', 'cold_x', 'EXP'].map((label) => ({
    kind: 'backup' as const,
    label,
    reason: '',
  }));
  const gone = logs.map((one) => ({ kind: 'log' as const, log: one, reason: '' }));
  const pieces = {
    TAG1: ['/fra/a.bkp', '/fra/shared.bkp'],
    SHARED: ['/fra/shared.bkp'],
    TAG2: ['/fra/shared.bkp'],
    HOT: ['/archive/hot/HOT/file_1.dbf'],
    cold_x: ['/cold/system01.dbf'],
    EXP: ['/dumps/exp.dmp'],
  };
  const copies = { cold_x: { files: [], controlFile: null, logDirs: [] } };
  const onServer = [{ thread: 1, sequence: 1, next: logs[0]!.next, bytes: 7 }];
  const { steps, bytes } = withinReachOfRman([...going, ...gone], catalog, { pieces, copies }, onServer);
  expect(steps).toEqual([going[0], gone[0]]);
  expect(bytes).toBe(107);
});
