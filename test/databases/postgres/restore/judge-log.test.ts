import { expect, test } from 'vitest';
import {
  judgeRecoveryLog,
  readLastTransactionTime,
} from '../../../../src/databases/postgres/restore/judge-log.ts';

// Texts of real servers, 15 and 18.
test.each([
  ['FATAL:  requested recovery stop point is before consistent recovery point', 'targetUnreachable'],
  [
    'FATAL:  WAL ends before end of online backup\nHINT:  All WAL generated while online backup was taken must be available at recovery.',
    'archiveGap',
  ],
  ['FATAL:  WAL ends before consistent recovery point', 'archiveGap'],
  [
    'FATAL:  could not locate required checkpoint record at 0/2000080\nHINT:  If you are restoring from a backup, touch "/d/recovery.signal" or "/d/standby.signal" and add required recovery options.\nIf you are not restoring from a backup, try removing the file "/d/backup_label".',
    'archiveGap',
  ],
  [
    'FATAL:  could not find redo location 0/2000028 referenced by checkpoint record at 0/2000080',
    'archiveGap',
  ],
  [
    'FATAL:  requested timeline 3 is not a child of this server\'s history\nDETAIL:  Latest checkpoint in file "backup_label" is at 0/7000080 on timeline 2',
    'targetUnreachable',
  ],
  ['FATAL:  recovery target timeline 9 does not exist', 'archiveDamaged'],
  [
    'LOG:  WAL file is from different database system: WAL file database system identifier is 7, pg_control database system identifier is 8\nFATAL:  could not locate required checkpoint record at 0/2000080',
    'archiveGap',
  ],
  ['PANIC:  WAL contains references to invalid pages', 'archiveDamaged'],
  ['FATAL:  could not access file "timescaledb": No such file or directory', 'serverUnfit'],
  ['FATAL:  could not write to file "pg_wal/xlogtemp.12": No space left on device', 'diskFull'],
  ['FATAL:  database files are incompatible with server', 'databaseVersion'],
  ['FATAL:  something new', 'recoveryFailed'],
  ['', 'recoveryFailed'],
])('%j is %s', (text, kind) => {
  const verdict = judgeRecoveryLog(`2026-11-21 10:00:00.000 UTC [7] ${text}\n`);
  expect(verdict.kind === 'failed' ? verdict.error.kind : verdict.kind).toBe(kind);
});

test('a target behind the end of the log is told apart from a failure', () => {
  const text =
    '2026-11-21 10:00:00.000 UTC [7] FATAL:  recovery ended before configured recovery target was reached\n';
  expect(judgeRecoveryLog(text)).toEqual({ kind: 'endedBeforeTarget' });
});

test("the server's hint to remove backup_label is not passed on as ours", () => {
  const verdict = judgeRecoveryLog(
    'FATAL:  could not locate required checkpoint record at 0/2000080\nHINT:  If you are not restoring from a backup, try removing the file "/d/backup_label".\n',
  );
  expect(verdict.kind === 'failed' ? verdict.error.hint : '').not.toContain('backup_label');
});

test('the time of the last transaction is read as an instant', () => {
  const line = 'LOG:  last completed transaction was at log time 2026-11-21 01:43:39.496123+00';
  expect(readLastTransactionTime(`x\n${line}\ny`)).toBe('2026-11-21T01:43:39.496Z');
  expect(readLastTransactionTime(line.replace('+00', '+05:30'))).toBe('2026-11-20T20:13:39.496Z');
  expect(readLastTransactionTime('nothing')).toBeNull();
});
