import { expect, test } from 'vitest';
import { judgeRecovery } from '../../../src/databases/oracle/judge-recovery.ts';

/** In the form of RMAN's output, written for these tests. */
const stack = (...lines: string[]): string =>
  [
    'Starting recover at 08-MAR-17',
    'RMAN-00571: ===========================================================',
    'RMAN-00569: =============== ERROR MESSAGE STACK FOLLOWS ===============',
    'RMAN-00571: ===========================================================',
    'RMAN-03002: failure of recover command at 03/08/2017 17:52:00',
    ...lines,
  ].join('\n');

test('a restore whose database is open for writing succeeded', () => {
  const text = 'Starting restore\nFinished restore at 08-MAR-17\nStatement processed';
  expect(judgeRecovery({ text, exitCode: 0, openMode: 'READ WRITE' })).toBeNull();
});

test('a log after the last one is harmless once the database is open, and is the cause while it is not', () => {
  const text = stack(
    'RMAN-06054: media recovery requesting unknown archived log for thread 1 with sequence 228 and starting SCN of 26651733',
  );
  expect(judgeRecovery({ text, exitCode: 1, openMode: 'READ WRITE' })).toBeNull();
  expect(judgeRecovery({ text, exitCode: 1, openMode: 'MOUNTED' })).toMatchObject({
    kind: 'archiveGap',
    exitCode: 5,
    message: expect.stringContaining('thread 1, sequence 228, from SCN 26651733 (RMAN-06054)'),
  });
});

test('a missing log is the cause, that the files do not agree is its consequence', () => {
  const text = stack(
    'RMAN-06053: unable to perform media recovery because of missing log',
    'RMAN-06025: no backup of archived log for thread 2 with sequence 8 and starting SCN of 1299 found to restore',
    'RMAN-06025: no backup of archived log for thread 2 with sequence 7 and starting SCN of 1234 found to restore',
    'ORA-01547: warning: RECOVER succeeded but OPEN RESETLOGS would get error below',
    'ORA-01194: file 1 needs more recovery to be consistent',
    "ORA-01110: data file 1: '/data/file_1.dbf'",
  );
  expect(judgeRecovery({ text, exitCode: 1, openMode: 'MOUNTED' })).toMatchObject({
    kind: 'archiveGap',
    message: 'no copy of the archived log of thread 2, sequence 7 (from SCN 1234) was found (RMAN-06025)',
  });
});

test.each([
  [
    'Spanish',
    'RMAN-06023: no se ha encontrado ninguna copia de seguridad ni copia del archivo de datos 4 para restaurar',
  ],
  ['German', 'RMAN-06023: Kein Backup und keine Kopie von Datendatei 4 zum Wiederherstellen gefunden'],
  ['Chinese', 'RMAN-06023: 没有找到数据文件4的副本来还原'],
])('codes and their numbers are the same in %s', (_, line) => {
  expect(judgeRecovery({ text: stack(line), exitCode: 1 })).toMatchObject({
    kind: 'targetUnreachable',
    exitCode: 5,
    message: 'no backup of datafile 4 serves the target (RMAN-06023)',
  });
});

test.each([
  ['ORA-19909: datafile 1 belongs to an orphan incarnation', 'recoveryFailed', /own and empty/],
  [
    'RMAN-06172: no AUTOBACKUP found or specified handle is not a valid copy or piece',
    'archiveDamaged',
    /AUTOBACKUP ON/,
  ],
  ['RMAN-20208: UNTIL CHANGE is before RESETLOGS change', 'recoveryFailed', /RESET DATABASE/],
  ['ORA-19599: block number 7 is corrupt in backup piece /b/1.bkp', 'archiveDamaged', /plan again/],
  ['ORA-28365: wallet is not open', 'recoveryFailed', /keystore/],
  ['ORA-19502: write error on file "/data/x.dbf", block number 9', 'diskFull', /staging\.size/],
  ["ORA-01103: database name 'ERP' in control file is not 'CLONA'", 'recoveryFailed', /DB_NAME/],
])('%s', (line, kind, hint) => {
  expect(judgeRecovery({ text: stack(line), exitCode: 1 })).toMatchObject({
    kind,
    hint: expect.stringMatching(hint),
  });
});

test('what recovery says of the next log is talk, not an error', () => {
  const text = [
    'ORA-00279: change 1234 generated at 03/08/2017 17:00:00 needed for thread 1',
    'ORA-00289: suggestion : /archive/log/1_7_938.arc',
    'ORA-00280: change 1234 for thread 1 is in sequence #7',
    'ORA-00278: log file is no longer needed for this recovery',
    'Media recovery complete.',
  ].join('\n');
  expect(judgeRecovery({ text, exitCode: 0, openMode: 'READ WRITE' })).toBeNull();
});

test('words of success prove nothing: a database that is not open was not restored', () => {
  const text = 'Finished recover at 08-MAR-17\nMedia recovery complete.';
  expect(judgeRecovery({ text, exitCode: 0, openMode: 'MOUNTED' })).toMatchObject({ kind: 'recoveryFailed' });
});

test('an error that nobody knows is still an error, with its line', () => {
  expect(
    judgeRecovery({ text: 'ORA-12345: something new', exitCode: 0, openMode: 'READ WRITE' }),
  ).toMatchObject({
    message: 'the restore did not succeed: ORA-12345: something new',
    details: { codes: ['ORA-12345'] },
  });
});
