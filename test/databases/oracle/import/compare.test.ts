import { describe, expect, test } from 'vitest';
import {
  compareConstraints,
  compareInvalid,
  compareRows,
  judgeRights,
  type ConstraintFact,
} from '../../../../src/databases/oracle/import/compare.ts';
import { importFailure, refusedCall } from '../../../../src/databases/oracle/import/import-failure.ts';
import { judgeJobLog } from '../../../../src/proof/job-log.ts';

const pair = { live: 'ERP', clone: 'CLONA_ERP' };
const exported = judgeJobLog(`Starting "SYS"."SYS_EXPORT_SCHEMA_01":  sys/******** schemas=erp
. . exported "ERP"."ORDERS":"P1"        7.5 KB      10 rows
. . exported "ERP"."ORDERS":"P2"        7.5 KB       5 rows
. . exported "ERP"."Lines"              7.5 KB       3 rows
. . exported "HR"."ORDERS"              7.5 KB      99 rows
Job "SYS"."SYS_EXPORT_SCHEMA_01" successfully completed at Thu May 1 08:05:05 2025 elapsed 0 00:00:05`);

describe('rows against the log of the export', () => {
  test('partitions are summed, other schemas left out, case kept', () => {
    expect(compareRows(pair, exported, { ORDERS: '15', Lines: '3' })).toEqual([]);
  });

  test.each([
    ['a table that is missing', { ORDERS: '15' }, 'failed', 'exported with 3 rows, not in the copy'],
    [
      'a row that is missing',
      { ORDERS: '14', Lines: '3' },
      'failed',
      'exported with 15 rows, the copy has 14',
    ],
    ['rows too many', { ORDERS: '15', Lines: '4' }, 'failed', 'exported with 3 rows, the copy has 4'],
    [
      'a table that was not exported',
      { ORDERS: '15', Lines: '3', X: '1' },
      'warning',
      '1 rows here, not named in the log of the export',
    ],
  ])('%s', (_, rows, severity, text) => {
    expect(compareRows(pair, exported, rows)).toMatchObject([{ severity, text }]);
  });

  test('a log that names nothing of the schema proves nothing', () => {
    expect(compareRows({ live: 'Erp', clone: 'X' }, exported, {})).toMatchObject([{ severity: 'failed' }]);
  });
});

const constraint = (more: Partial<ConstraintFact> = {}): ConstraintFact => ({
  table: 'ORDERS',
  name: 'ORDERS_PK',
  type: 'P',
  enabled: true,
  validated: true,
  generated: false,
  referencedSchema: null,
  ...more,
});

test.each([
  ['disabled', [constraint()], [constraint({ enabled: false })], 'failed'],
  [
    'disabled as in production',
    [constraint({ enabled: false })],
    [constraint({ enabled: false })],
    'warning',
  ],
  ['not validated', [constraint()], [constraint({ validated: false })], 'failed'],
  ['not validated, and production was not asked', undefined, [constraint({ validated: false })], 'failed'],
  ['missing', [constraint()], [], 'failed'],
  ['pointing into LIVE', [constraint()], [constraint({ referencedSchema: 'ERP' })], 'failed'],
])('a constraint that is %s', (_, before, after, severity) => {
  expect(compareConstraints(pair, before, after)).toMatchObject([{ severity }]);
});

test('a name that the server gave may be another one in the copy', () => {
  const before = constraint({ name: 'SYS_C001', generated: true, type: 'C', enabled: false });
  expect(compareConstraints(pair, [before], [{ ...before, name: 'SYS_C777' }])).toMatchObject([
    { severity: 'warning' },
  ]);
});

test('what became invalid is a fault, what production has as invalid is told', () => {
  const before = [{ name: 'OLD', type: 'VIEW' }];
  const after = [...before, { name: 'PAY', type: 'PACKAGE BODY' }];
  expect(compareInvalid(before, after)).toMatchObject([
    { severity: 'warning', text: 'view is invalid, as in production' },
    { severity: 'failed', text: 'package body is invalid and was valid in production' },
  ]);
});

describe('a log of an import becomes an error that helps', () => {
  const head = 'Import: Release 19.0.0.0.0 - Production on Thu May 1 08:04:59 2025\n';
  const start = `${head}Starting "C"."CLONA_1":  c/******** parfile=x\n`;
  const end = 'Job "C"."CLONA_1" completed with 1 error(s) at Thu May 1 08:05:05 2025 elapsed 0 00:00:05\n';
  test.each([
    [
      'a newer dump',
      `${head}ORA-39001: invalid argument value\nORA-39000: bad dump file specification\nORA-39142: incompatible version number 5.1 in dump file "/b/erp.dmp"\n`,
      'databaseVersion',
      2,
    ],
    [
      'no key',
      `${head}ORA-39002: invalid operation\nORA-39174: Encryption password must be supplied.\n`,
      'secretMissing',
      2,
    ],
    [
      'a wrong key',
      `${head}ORA-39002: invalid operation\nORA-39176: Encryption password is incorrect.\n`,
      'secretMissing',
      2,
    ],
    [
      'a missing part',
      `${head}ORA-39002: invalid operation\nORA-39059: dump file set is incomplete\nORA-39246: cannot locate master table within provided dump files\n`,
      'proofFailed',
      4,
    ],
    [
      'a full tablespace',
      `${start}ORA-31693: Table data object "CLONA_ERP"."T" failed to load/unload and is being skipped due to error:\nORA-01653: unable to extend table CLONA_ERP.T by 128 in tablespace USERS\n${end}`,
      'diskFull',
      6,
    ],
    [
      'a quota',
      `${start}ORA-39083: Object type TABLE:"CLONA_ERP"."T" failed to create with error:\nORA-01536: space quota exceeded for tablespace 'USERS'\n${end}`,
      'diskFull',
      6,
    ],
    [
      'a full tablespace, cut off in the wait',
      `${start}ORA-39171: Job is experiencing a resumable wait.\nORA-01653: unable to extend table CLONA_ERP.T by 128 in tablespace USERS\n`,
      'diskFull',
      6,
    ],
    [
      'an unknown tablespace, in German',
      `${start}ORA-39083: Objekttyp TABLE:"CLONA_ERP"."T" konnte nicht erstellt werden, Fehler:\nORA-00959: Tablespace 'DATA' nicht vorhanden\nJob "C"."CLONA_1" mit 1 Fehler(n) um Do Mai 1 08:05:05 2025 elapsed 0 00:00:05 abgeschlossen\n`,
      'siteInvalid',
      2,
    ],
    [
      'a log that breaks off',
      `${start}Processing object type SCHEMA_EXPORT/TABLE/TABLE\n`,
      'jobLogFailed',
      4,
    ],
    [
      'letters that do not fit',
      `${start}ORA-02374: conversion error loading table "CLONA_ERP"."T"\nORA-12899: value too large for column NAME (actual: 41, maximum: 40)\n${end}`,
      'proofFailed',
      4,
    ],
    [
      'anything else',
      `${start}ORA-39083: Object type TABLE:"CLONA_ERP"."T" failed to create with error:\nORA-00439: feature not enabled\n${end}`,
      'jobLogFailed',
      4,
    ],
  ])('%s', (_, log, kind, exitCode) => {
    expect(importFailure(judgeJobLog(log), log)).toMatchObject({ kind, exitCode });
  });

  test('a good log is no error, and a refusal without a code is told as it was said', () => {
    const log = `${start}. . imported "CLONA_ERP"."T"  5 KB  3 rows\n${end.replace('completed with 1 error(s)', 'successfully completed')}`;
    expect(importFailure(judgeJobLog(log), log)).toBeUndefined();
    expect(refusedCall('no such luck\n', null)).toMatchObject({
      kind: 'databaseFailed',
      message: 'the import was refused: no such luck',
    });
  });
});

describe('constraints that the server named', () => {
  const named = (name: string, more = {}) => constraint({ name, generated: true, type: 'C', ...more });
  test.each<[string, ConstraintFact[], ConstraintFact[], RegExp | null]>([
    [
      'have other names in the copy',
      [named('SYS_C1'), named('SYS_C2')],
      [named('SYS_C8'), named('SYS_C9')],
      null,
    ],
    [
      'are fewer',
      [named('SYS_C1'), named('SYS_C2')],
      [named('SYS_C8')],
      /1 of 2 constraints are in the copy/,
    ],
    [
      'are disabled, one more than in production',
      [named('SYS_C1'), named('SYS_C2', { enabled: false, validated: false })],
      [
        named('SYS_C8', { enabled: false, validated: false }),
        named('SYS_C9', { enabled: false, validated: false }),
      ],
      /0 of 1 constraints are enabled/,
    ],
    [
      'are not validated',
      [named('SYS_C1')],
      [named('SYS_C8', { validated: false })],
      /0 of 1 constraints are validated/,
    ],
  ])('%s', (_, before, after, text) => {
    const findings = compareConstraints(pair, before, after).filter(({ severity }) => severity === 'failed');
    if (text === null) expect(findings).toEqual([]);
    else
      expect(findings).toMatchObject([{ severity: 'failed', text: expect.stringMatching(text) as string }]);
  });
});

test('any right of the copy is a fault, one of everybody on LIVE is told', () => {
  const right = (grantee: string, on: string | null) => ({
    grantee,
    privilege: 'SELECT',
    on,
    object: on && 'T',
  });
  expect(
    judgeRights(pair, [
      right('CLONA_ERP', 'ERP'),
      right('CLONA_ERP', null),
      right('PUBLIC', 'ERP'),
      right('PUBLIC', 'HR'),
    ]),
  ).toMatchObject([
    { severity: 'failed', text: 'has the right SELECT on ERP.T: it must have none' },
    { severity: 'failed', text: 'has the right SELECT: it must have none' },
    { severity: 'warning', text: 'everybody may SELECT on ERP.T, so the copy may, too' },
  ]);
});
