import { describe, expect, test } from 'vitest';
import { judgeJobLog } from '../../src/proof/job-log.ts';

const expdpHead = `
Export: Release 19.0.0.0.0 - Production on Tue Mar 12 10:00:00 2024
Version 19.3.0.0.0

Connected to: Oracle Database 19c Enterprise Edition Release 19.0.0.0.0 - Production
Starting "SYSTEM"."SYS_EXPORT_SCHEMA_01":  system/******** schemas=ERP directory=BACKUP dumpfile=erp.dmp
Processing object type SCHEMA_EXPORT/TABLE/TABLE_DATA
Processing object type SCHEMA_EXPORT/USER
`;
const expdpRows = `. . exported "ERP"."INVOICES"                            17.08 KB     107 rows
. . exported "ERP"."ITEMS"                                   0 KB       0 rows
`;
const expdpTail = `Master table "SYSTEM"."SYS_EXPORT_SCHEMA_01" successfully loaded/unloaded
******************************************************************************
Dump file set for SYSTEM.SYS_EXPORT_SCHEMA_01 is:
  /backup/erp.dmp
`;
const expdpClose = `Job "SYSTEM"."SYS_EXPORT_SCHEMA_01" successfully completed at Tue Mar 12 10:01:00 2024 elapsed 0 00:01:00
`;
const impdpHead = `
Import: Release 19.0.0.0.0 - Production on Tue Mar 12 11:00:00 2024
Master table "SYSTEM"."SYS_IMPORT_FULL_01" successfully loaded/unloaded
Starting "SYSTEM"."SYS_IMPORT_FULL_01":  system/******** remap_schema=ERP:CLONA directory=BACKUP dumpfile=erp.dmp
Processing object type SCHEMA_EXPORT/USER
`;
const impdpRows = `Processing object type SCHEMA_EXPORT/TABLE/TABLE_DATA
. . imported "CLONA"."INVOICES"                          17.08 KB     107 rows
`;
const impdpClose = (errors: number) =>
  errors === 0
    ? 'Job "SYSTEM"."SYS_IMPORT_FULL_01" successfully completed at Tue Mar 12 11:05:00 2024 elapsed 0 00:05:00\n'
    : `Job "SYSTEM"."SYS_IMPORT_FULL_01" completed with ${errors} error(s) at Tue Mar 12 11:05:00 2024 elapsed 0 00:05:00\n`;

describe('Data Pump', () => {
  test('an export with its closing line and no error is ok, with its rows', () => {
    const judged = judgeJobLog(expdpHead + expdpRows + expdpTail + expdpClose);
    expect(judged).toMatchObject({
      kind: 'expdp',
      verdict: 'ok',
      errors: [],
      rows: { 'ERP.INVOICES': 107, 'ERP.ITEMS': 0 },
    });
  });

  test('a log cut off before the closing line is incomplete, whatever came before', () => {
    expect(judgeJobLog(expdpHead + expdpRows + expdpTail).verdict).toBe('incomplete');
    expect(judgeJobLog(expdpHead + expdpRows).verdict).toBe('incomplete');
    const withError = `${expdpHead}ORA-31693: Table data object "ERP"."T" failed to load/unload and is being skipped due to error:\nORA-01555: snapshot too old\n`;
    expect(judgeJobLog(withError).verdict).toBe('incomplete');
  });

  test('a table whose rows are skipped fails although the closing line says success', () => {
    const error =
      'ORA-31693: Table data object "ERP"."T" failed to load/unload and is being skipped due to error:\nORA-02354: error in exporting/importing data\nORA-01555: snapshot too old: rollback segment number 3\n';
    const judged = judgeJobLog(expdpHead + expdpRows + error + expdpTail + expdpClose);
    expect(judged.verdict).toBe('failed');
    expect(judged.errors).toEqual(['ORA-31693', 'ORA-02354', 'ORA-01555']);
  });

  test.each([
    ['exists already', 'ORA-31684: Object type USER:"CLONA" already exists'],
    ['clear text', 'ORA-39173: Encrypted data has been stored unencrypted in dump file set.'],
    [
      'a resumable wait that went on',
      'ORA-39171: Job is experiencing a resumable wait.\nORA-01653: unable to extend table CLONA.INVOICES by 128 in tablespace DATA',
    ],
    [
      'compiled with warnings',
      'ORA-39082: Object type PACKAGE_BODY:"CLONA"."P" created with compilation warnings',
    ],
    [
      'an index that exists',
      'ORA-39083: Object type INDEX:"CLONA"."I" failed to create with error:\nORA-00955: name is already used by an existing object\nFailing sql is:\nCREATE INDEX "CLONA"."I" ON "CLONA"."INVOICES" ("ID")',
    ],
    [
      'a grant to a missing role',
      'ORA-39083: Object type OBJECT_GRANT failed to create with error:\nORA-01917: user or role \'CLERK\' does not exist\nFailing sql is:\nGRANT SELECT ON "CLONA"."INVOICES" TO "CLERK"',
    ],
    [
      'rows appended',
      'ORA-39152: Table "CLONA"."INVOICES" exists. Data will be appended to existing table but all dependent metadata will be skipped due to table_exists_action of append',
    ],
  ])('%s is a warning', (_name, error) => {
    expect(judgeJobLog(`${impdpHead}${error}\n${impdpRows}${impdpClose(1)}`)).toMatchObject({
      kind: 'impdp',
      verdict: 'warning',
      rows: { 'CLONA.INVOICES': 107 },
    });
  });

  test.each([
    [
      'a table that was not created',
      'ORA-39083: Object type TABLE:"CLONA"."INDEXES" failed to create with error:\nORA-00959: tablespace \'DATA\' does not exist\nFailing sql is:\nCREATE TABLE "CLONA"."INDEXES" ("A" NUMBER)',
    ],
    [
      'a table not created, old form',
      'ORA-39083: Object type TABLE failed to create with error:\nORA-02180: invalid option',
    ],
    [
      'a user that was not created',
      'ORA-39083: Object type USER:"CLONA" failed to create with error:\nORA-65096: invalid common user or role name\nFailing sql is:\n CREATE USER "CLONA" IDENTIFIED BY VALUES',
    ],
    [
      'an existing table that was skipped',
      'ORA-39151: Table "CLONA"."ITEMS" exists. All dependent metadata and data will be skipped due to table_exists_action of skip',
    ],
    [
      'rejected rows',
      'KUP-11007: conversion error loading table "CLONA"."T"\nORA-12899: value too large for column NAME',
    ],
    [
      'a conversion error',
      'ORA-02374: conversion error loading table "CLONA"."T"\nORA-12899: value too large for column C\nORA-02372: data for row: C : 0X41',
    ],
    [
      'a schema not found',
      'ORA-39165: Schema ERP2 was not found.\nORA-39166: Object ERP2.T was not found or could not be exported or imported.',
    ],
    [
      'a dependent of a table that failed',
      'ORA-39112: Dependent object type INDEX:"CLONA"."I" skipped, base object type TABLE:"CLONA"."T" creation failed',
    ],
    [
      'a wait that ran into its timeout',
      'ORA-39171: Job is experiencing a resumable wait.\nORA-01653: unable to extend\nORA-30032: the suspended (resumable) statement has timed out',
    ],
    ['an error nobody knows', 'ORA-07445: exception encountered: core dump'],
    [
      'rows hidden by policy',
      'ORA-39181: Only partial table data may be exported due to fine grain access control on "ERP"."T"',
    ],
  ])('%s is a failure although the closing line says success', (_name, error) => {
    expect(judgeJobLog(`${impdpHead}${error}\n${impdpRows}${impdpClose(0)}`).verdict).toBe('failed');
  });

  test('"9 out of 10 rows" is a failure with nine rows', () => {
    const row = '. . imported "CLONA"."T"          5.4 KB       9 out of 10 rows\n';
    expect(judgeJobLog(impdpHead + row + impdpClose(0))).toMatchObject({
      verdict: 'failed',
      rows: { 'CLONA.T': 9 },
    });
  });

  test('an existing table is only a warning where no rows were asked for', () => {
    const head = impdpHead.replace('dumpfile=erp.dmp', 'dumpfile=erp.dmp content=metadata_only');
    const error = 'ORA-39151: Table "CLONA"."T" exists. All dependent metadata and data will be skipped\n';
    expect(judgeJobLog(head + error + impdpClose(1)).verdict).toBe('warning');
  });

  test('a job that could not start has failed, closing line or not', () => {
    const text = `Import: Release 19.0.0.0.0 - Production on Tue Mar 12 11:00:00 2024
ORA-39001: invalid argument value
ORA-39000: bad dump file specification
ORA-31640: unable to open dump file "/backup/erp02.dmp" for read
ORA-27037: unable to obtain file status
`;
    expect(judgeJobLog(text)).toMatchObject({ kind: 'impdp', verdict: 'failed' });
  });

  test('a job stopped by a fatal error or by its user has failed', () => {
    for (const reason of ['due to fatal error', 'by user request']) {
      const stop = `Job "SYSTEM"."SYS_EXPORT_SCHEMA_01" stopped ${reason} at Tue Mar 12 10:01:00 2024 elapsed 0 00:01:00\n`;
      expect(judgeJobLog(expdpHead + expdpRows + stop).verdict).toBe('failed');
    }
  });

  test('a stopped job that was started again and finished is a warning', () => {
    const again = `ORA-39095: Dump file space has been exhausted: Unable to allocate 8192 bytes
Job "SYSTEM"."SYS_EXPORT_SCHEMA_01" stopped due to fatal error at Tue Mar 12 10:01:00 2024 elapsed 0 00:01:00
Job SYS_EXPORT_SCHEMA_01 has been reopened at Tue Mar 12 10:05:00 2024
Restarting "SYSTEM"."SYS_EXPORT_SCHEMA_01":  system/******** schemas=ERP directory=BACKUP dumpfile=erp.dmp
`;
    expect(judgeJobLog(expdpHead + again + expdpRows + expdpTail + expdpClose).verdict).toBe('warning');
  });

  test('a closing line that counts errors of which none is in the log is a warning', () => {
    expect(judgeJobLog(impdpHead + impdpRows + impdpClose(2)).verdict).toBe('warning');
  });

  test('a table named in TABLES= that never appears is missing', () => {
    const head = expdpHead.replace('schemas=ERP', 'tables=ERP.INVOICES,ERP.LEDGER,erp.items');
    const judged = judgeJobLog(head + expdpRows + expdpTail + expdpClose);
    expect(judged.verdict).toBe('failed');
    expect(judged.findings.map(({ meaning }) => meaning)).toEqual([
      'table ERP.LEDGER was asked for and is not in the log',
    ]);
  });

  test('partitions are summed into their table; names keep their case, dots and spaces', () => {
    const rows = `. . exported "ERP"."SALES":"P1"          5,4 KB      10 rows
. . exported "ERP"."SALES":"P2"."SP1"    1.024,5 MB   12 rows
. . exported "ERP"."SALES":"P2"."SP2"       0 KB       0 rows
. . exported "Erp.Web"."Order Line"      6 KB       3 rows
`;
    expect(judgeJobLog(expdpHead + rows + expdpClose).rows).toEqual({
      'ERP.SALES': 22,
      'Erp.Web.Order Line': 3,
    });
  });

  test('LOGTIME stamps, METRICS and worker marks are looked through', () => {
    const text = (expdpHead + expdpRows + expdpTail + expdpClose)
      .split('\n')
      .filter((line) => line !== '')
      .map(
        (line) =>
          `12-MAR-24 10:00:00.123: ${/^(?:\. \.|Proc)/.test(line) ? 'W-1 ' : ''}${line.replace(/(\d+ rows)/, '$1 in 0 seconds using direct_path')}`,
      )
      .join('\r\n');
    expect(judgeJobLog(`\ufeff;;; \r\n${text}`)).toMatchObject({
      kind: 'expdp',
      verdict: 'ok',
      rows: { 'ERP.INVOICES': 107, 'ERP.ITEMS': 0 },
    });
  });

  test('an estimate is no row count', () => {
    const text = `${expdpHead}.  estimated "ERP"."INVOICES"                        64 KB\n. . estimated "ERP"."ITEMS"      64 KB\n${expdpClose}`;
    expect(judgeJobLog(text)).toMatchObject({ verdict: 'ok', rows: {} });
  });

  test('a client that lost a finished job does no harm; one that lost a running job does', () => {
    const lost =
      'UDE-31626: operation generated ORACLE error 31626\nORA-31626: job does not exist\nORA-06512: at "SYS.KUPC$QUE_INT", line 536\n';
    expect(judgeJobLog(expdpHead + expdpRows + expdpClose + lost).verdict).toBe('warning');
    expect(judgeJobLog(expdpHead + expdpRows + lost).verdict).toBe('failed');
  });

  test('a job of another name is closed by its own name only', () => {
    const named = (text: string) => text.replaceAll('SYS_EXPORT_SCHEMA_01', 'NIGHTLY');
    expect(judgeJobLog(named(expdpHead + expdpRows + expdpTail + expdpClose)).verdict).toBe('ok');
    const foreign =
      'Job "SYSTEM"."OTHER" successfully completed at Tue Mar 12 10:01:00 2024 elapsed 0 00:01:00\n';
    expect(judgeJobLog(named(expdpHead + expdpRows) + foreign).verdict).toBe('incomplete');
  });

  test('a 10g closing line without date and a first run that was cut off', () => {
    const close10 = 'Job "SYSTEM"."SYS_EXPORT_SCHEMA_01" successfully completed at 14:03:27\n';
    expect(judgeJobLog(expdpHead + expdpRows + close10).verdict).toBe('ok');
    expect(judgeJobLog(expdpHead + expdpHead + expdpRows + close10).verdict).toBe('incomplete');
  });
});

describe('languages of Data Pump', () => {
  const close = (text: string) => text.replaceAll('J', '"SYSTEM"."SYS_EXPORT_SCHEMA_01"');
  test.each([
    [
      'German',
      '. . "ERP"."T"   17,08 KB   12 Zeilen exportiert',
      'Job J erfolgreich um Di Okt 15 11:42:13 2019 elapsed 0 00:00:33 abgeschlossen',
      'Job J mit 1 Fehler(n) um Di Okt 15 11:42:13 2019 elapsed 0 00:00:33 abgeschlossen',
    ],
    [
      'French',
      '. . export : "ERP"."T"   17,08 Ko   12 lignes',
      "L'exécution du travail J a abouti à mar. oct. 15 11:42:13 2019 elapsed 0 00:00:33",
      'Le travail J a été terminé avec 1 erreur(s) à 11:42:13',
    ],
    [
      'Spanish',
      '. . "ERP"."T" exportadas  17.08 KB   12 filas',
      'El trabajo J ha terminado correctamente en Mar Oct 15 11:42:13 2019 elapsed 0 00:00:33',
      'El trabajo J ha terminado con 1 error(es) a las 11:42:13',
    ],
    [
      'Italian',
      '. . esportate "ERP"."T"  17.08 KB   12 righe',
      'Job J completato in data Mar Ott 15 11:42:13 2019 elapsed 0 00:00:33',
      'Job J completato con 1 errori alle 11:42:13',
    ],
    [
      'Portuguese',
      '. . exportou "ERP"."T"   17.08 KB   12 linhas',
      'O job J foi concluído com sucesso em Ter Out 15 11:42:13 2019 elapsed 0 00:00:33',
      'O job J foi concluído com 1 erro(s) em 11:42:13',
    ],
    [
      'Japanese',
      '. . "ERP"."T"   17.08 KB   12行がエクスポートされました',
      'ジョブJが火 10月 15 11:42:13 2019 elapsed 0 00:00:33で正常に完了しました',
      'ジョブJが1エラーで11:42:13で完了しました',
    ],
    [
      'Chinese',
      '. . 导出了 "ERP"."T"   17.08 KB   12 行',
      '作业 J 已于 星期二 10月 15 11:42:13 2019 elapsed 0 00:00:33 成功完成',
      '作业 J 已经完成, 但是有 1 个错误 (于 11:42:13 完成)',
    ],
    [
      'Korean',
      '. . "ERP"."T"   8.554 KB   12행이 엑스포트됨',
      'J 작업이 화 10월 15 11:42:13 2019 elapsed 0 00:00:33에서 성공적으로 완료됨',
      'J 작업이 1개의 오류가 있는 상태로 11:42:13에서 완료됨',
    ],
    [
      'Russian',
      '. . экспортировано "ERP"."T"   17,08 КБ   12 строк',
      'Задание J успешно завершено в Вт Окт 15 11:42:13 2019 elapsed 0 00:00:33',
      'Задание J завершено с 1 ошибками в 11:42:13',
    ],
    [
      'a language nobody taught it',
      '. . xyzzy "ERP"."T"   17,08 KB   12 fnord',
      'Frobo J plugh 15 11:42:13 2019 elapsed 0 00:00:33',
      'Frobo J plugh 11:42:13',
    ],
  ])('%s: row counts, closing line, closing line with errors, cut off', (_language, row, ok, withErrors) => {
    const body = `${expdpHead}${row}\n`;
    expect(judgeJobLog(`${body}${close(ok)}\n`)).toMatchObject({
      kind: 'expdp',
      verdict: 'ok',
      rows: { 'ERP.T': 12 },
    });
    const notice = 'ORA-31684: Objekttyp USER:"ERP" ist bereits vorhanden';
    expect(judgeJobLog(`${body}${notice}\n${close(withErrors)}\n`)).toMatchObject({
      verdict: 'warning',
      rows: { 'ERP.T': 12 },
    });
    expect(judgeJobLog(body).verdict).toBe('incomplete');
  });

  test('object types are read in any language', () => {
    const chinese = 'ORA-39083: 对象类型 TABLE:"ERP"."T" 创建失败, 出现错误:\nORA-00959: 表空间不存在\n';
    const japanese =
      'ORA-39083: オブジェクト型INDEX:"ERP"."TABLE_I"の作成が次のエラーで失敗しました:\nORA-00955: すでに使用されています\n';
    expect(judgeJobLog(impdpHead + chinese + impdpRows + impdpClose(1)).verdict).toBe('failed');
    expect(judgeJobLog(impdpHead + japanese + impdpRows + impdpClose(1)).verdict).toBe('warning');
  });

  test('the Japanese start line has no stars', () => {
    const text = `Export: Release 11.2.0.4.0 - Production on 日 3月 3 16:47:00 2019
"GG"."SYS_EXPORT_TABLE_01"を起動しています: gg DIRECTORY=homedir DUMPFILE=t.dmp TABLES=t10 CONTENT=DATA_ONLY
オブジェクト型TABLE_EXPORT/TABLE/TABLE_DATAの処理中です
. . "GG"."T10"                              288.6 KB   10000行がエクスポートされました
マスター表"GG"."SYS_EXPORT_TABLE_01"は正常にロード/アンロードされました
`;
    expect(judgeJobLog(text).verdict).toBe('incomplete');
    const closing =
      'ジョブ"GG"."SYS_EXPORT_TABLE_01"が日 3月 3 16:47:04 2019 elapsed 0 00:00:02で正常に完了しました\n';
    expect(judgeJobLog(text + closing)).toMatchObject({ verdict: 'ok', rows: { 'GG.T10': 10_000 } });
  });
});

describe('forms of logs that were found in public', () => {
  const closing = (text: string) =>
    `Job "APP"."SYS_IMPORT_TABLE_01" ${text} at Thu May 1 08:05:05 2025 elapsed 0 00:00:05`;
  const start =
    'Starting "APP"."SYS_IMPORT_TABLE_01":  app/******** tables=x\n. . imported "APP"."X"    5.4 KB   2 rows\n';
  const statistics = `${start}ORA-39126: Worker unexpected fatal error in KUPW$WORKER.STATS_LOAD [MARKER] MARKER
ORA-06512: at "SYS.DBMS_SYS_ERROR", line 105
ORA-06512: at "SYS.KUPW$WORKER", line 11265
`;
  test.each([
    [
      'statistics alone could not be loaded',
      `${statistics}${closing('completed with 1 error(s)')}`,
      'warning',
    ],
    ['a job that ended of its statistics', `${statistics}${closing('stopped due to fatal error')}`, 'failed'],
    [
      'another worker that died',
      `${start}ORA-39126: Worker unexpected fatal error in KUPW$WORKER.LOAD_DATA\n${closing('completed with 1 error(s)')}`,
      'failed',
    ],
    [
      'encrypted columns in clear text',
      `${start}ORA-39396: Warning: exporting encrypted data using transportable option without password\n${closing('successfully completed')}`,
      'warning',
    ],
    [
      'a dump for newer servers',
      `${start}ORA-39464: readable only by newer servers\n${closing('successfully completed')}`,
      'warning',
    ],
    [
      'a table of an unknown type',
      `${start}ORA-39117: Type needed to create table is not included in this operation. Failing sql is:\nCREATE TABLE "APP"."V" ("E" NUMBER)\n${closing('completed with 1 error(s)')}`,
      'failed',
    ],
    [
      'a dump whose checksum differs',
      `Verifying dump file checksums\nORA-39412: file checksum error in dump file "/d/x.dmp"\n\ndump file set is inconsistent\n${closing('completed with 1 error(s)')}`,
      'failed',
    ],
    [
      'tablespaces that are not read only',
      `ORA-39123: Data Pump transportable tablespace job aborted\nORA-39185: The failure list is\n\nORA-29335: tablespace 'D' is not read only\n${closing('stopped due to fatal error')}`,
      'failed',
    ],
    [
      'a job of DBMS_DATAPUMP in French',
      'Début de "CLONA"."CLONA_1": \n. . import : "C"."T"   5,4 KB   2 lignes\nL\'exécution du travail "CLONA"."CLONA_1" a abouti à Jeu. Mai 1 08:05:05 2025 elapsed 0 00:00:05',
      'ok',
    ],
    [
      'a job of DBMS_DATAPUMP in Chinese',
      '启动 "CLONA"."CLONA_1":  \n. . 导入了 "C"."T"   5.4 KB   2 行\n作业 "CLONA"."CLONA_1" 已于 星期一 11月 25 10:44:55 2019 elapsed 0 00:01:14 成功完成',
      'ok',
    ],
    [
      'a Portuguese job that lost its accents',
      'O job "SYSTEM"."SYS_IMPORT_FULL_04" foi concludo com 8422 erro(s) em Seg Mar 19 22:20:25 2018 elapsed 0 02:03:01',
      'warning',
    ],
  ])('%s', (_, log, verdict) => {
    expect(judgeJobLog(log).verdict).toBe(verdict);
  });
});
