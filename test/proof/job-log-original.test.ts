import { describe, expect, test } from 'vitest';
import { judgeJobLog } from '../../src/proof/job-log.ts';

const expHead = `
Export: Release 11.2.0.4.0 - Production on Wed Jul 17 18:45:40 2024

Connected to: Oracle Database 11g Enterprise Edition Release 11.2.0.4.0 - 64bit Production
Export done in WE8MSWIN1252 character set and AL16UTF16 NCHAR character set
. exporting pre-schema procedural objects and actions
. exporting foreign function library names for user ERP
. exporting PUBLIC type synonyms
About to export ERP's objects ...
. exporting database links
. about to export ERP's tables via Conventional Path ...
`;
const expTables = `. . exporting table                       INVOICES        107 rows exported
. . exporting table                          ITEMS          0 rows exported
`;
const expTail = `. exporting synonyms
. exporting views
. exporting statistics
`;
const impHead = `
Import: Release 11.2.0.4.0 - Production on Wed Jul 17 19:45:40 2024

Export file created by EXPORT:V11.02.00 via conventional path
import done in WE8MSWIN1252 character set and AL16UTF16 NCHAR character set
. importing ERP's objects into CLONA
`;

describe('exp', () => {
  test('a whole export is ok with rows under its schema', () => {
    const judged = judgeJobLog(
      `${expHead}${expTables}${expTail}Export terminated successfully without warnings.\n`,
    );
    expect(judged).toMatchObject({
      kind: 'exp',
      verdict: 'ok',
      errors: [],
      rows: { 'ERP.INVOICES': 107, 'ERP.ITEMS': 0 },
    });
  });

  test('questionable statistics are a warning, with or without the right closing words', () => {
    const body = `${expHead}${expTables}EXP-00091: Exporting questionable statistics.\nEXP-00091: Exporting questionable statistics.\n${expTail}`;
    expect(judgeJobLog(`${body}Export terminated successfully with warnings.\n`)).toMatchObject({
      verdict: 'warning',
      errors: ['EXP-00091'],
    });
    expect(judgeJobLog(`${body}Export terminated successfully without warnings.\n`).verdict).toBe('warning');
  });

  test('a cut-off log is incomplete, also in the middle of a table', () => {
    expect(judgeJobLog(expHead + expTables).verdict).toBe('incomplete');
    expect(judgeJobLog(`${expHead}. . exporting table            LEDGER`).verdict).toBe('incomplete');
    expect(judgeJobLog(expHead + expTables + expTail).verdict).toBe('incomplete');
  });

  test.each([
    [
      'snapshot too old',
      '. . exporting table      LEDGER\nEXP-00008: ORACLE error 1555 encountered\nORA-01555: snapshot too old',
    ],
    ['a table that does not exist', 'EXP-00011: ERP.LEDGER does not exist'],
    ['a table without a segment', 'EXP-00003: no storage definition found for segment(0, 0)'],
    [
      'protected rows',
      'EXP-00079: Data in table "LEDGER" is protected. Conventional path may only be exporting partial table.',
    ],
    ['a table that was never counted', '. . exporting table      LEDGER'],
  ])('%s is a failure although the closing line says success', (_name, error) => {
    const text = `${expHead}${expTables}${error}\n${expTail}Export terminated successfully without warnings.\n`;
    expect(judgeJobLog(text).verdict).toBe('failed');
  });

  test('EXP-00000 has failed, closing line of its own', () => {
    const text = `Export: Release 11.2.0.4.0 - Production on Wed Jul 17 18:45:40 2024\nEXP-00056: ORACLE error 1017 encountered\nORA-01017: invalid username/password; logon denied\nEXP-00000: Export terminated unsuccessfully\n`;
    expect(judgeJobLog(text)).toMatchObject({ kind: 'exp', verdict: 'failed' });
  });

  test('partitions and subpartitions are summed into their table', () => {
    const text = `${expHead}. . exporting table                          SALES
. . exporting partition                             P1          5 rows exported
. . exporting partition                             P2          7 rows exported
. . exporting table                        LEDGER2019         11 rows exported
. . exporting table                         STOCK
. . exporting composite partition                   Q1
. . exporting subpartition                         Q1A          2 rows exported
. . exporting subpartition                         Q1B          3 rows exported
${expTail}Export terminated successfully without warnings.
`;
    expect(judgeJobLog(text)).toMatchObject({
      verdict: 'ok',
      rows: { 'ERP.SALES': 12, 'ERP.LEDGER2019': 11, 'ERP.STOCK': 5 },
    });
  });

  test('the user changes in a table mode export; before that the schema is not told', () => {
    const text = `Export: Release 11.2.0.4.0 - Production on Wed Jul 17 18:45:40 2024
About to export specified tables via Conventional Path ...
. . exporting table                            OWN          1 rows exported
Current user changed to HR
. . exporting table                            EMP         17 rows exported
. . exporting table                    Order Line          2 rows exported
Export terminated successfully without warnings.
`;
    expect(judgeJobLog(text).rows).toEqual({ OWN: 1, 'HR.EMP': 17, 'HR.Order Line': 2 });
  });

  test('an export without rows is not missing them', () => {
    const text = `${expHead}Note: table data (rows) will not be exported\n. . exporting table      LEDGER\n. . exporting table      ITEMS\n${expTail}Export terminated successfully without warnings.\n`;
    expect(judgeJobLog(text).verdict).toBe('ok');
  });
});

describe('imp', () => {
  test('a whole import is ok, rows under the schema it went into, partitions summed', () => {
    const text = `${impHead}. . importing table                     "INVOICES"        107 rows imported
. . importing partition                   "SALES":"P1"          5 rows imported
. . importing partition                   "SALES":"P2"          7 rows imported
. . skipping table "TEMP"
About to enable constraints...
Import terminated successfully without warnings.
`;
    expect(judgeJobLog(text)).toMatchObject({
      kind: 'imp',
      verdict: 'ok',
      rows: { 'CLONA.INVOICES': 107, 'CLONA.SALES': 12 },
    });
  });

  test('rejected rows fail, data that looks like a code is no code, the late count is read', () => {
    const text = `${impHead}. . importing table                          "EMP"
IMP-00019: row rejected due to ORACLE error 1
IMP-00003: ORACLE error 1 encountered
ORA-00001: unique constraint (CLONA.PK) violated
Column 1 7369
Column 2 ORA-00600
         12 rows imported
Import terminated successfully with warnings.
`;
    const judged = judgeJobLog(text);
    expect(judged).toMatchObject({ verdict: 'failed', rows: { 'CLONA.EMP': 12 } });
    expect(judged.errors).toEqual(['IMP-00019', 'IMP-00003', 'ORA-00001']);
  });

  test('a statement that failed counts by what it was', () => {
    const failing = (
      statement: string,
    ) => `${impHead}IMP-00017: following statement failed with ORACLE error 942:
 "${statement}"
 " PCTFREE 10"
IMP-00003: ORACLE error 942 encountered
ORA-00942: table or view does not exist
. . importing table                          "EMP"         14 rows imported
Import terminated successfully with warnings.
`;
    expect(judgeJobLog(failing('CREATE TABLE \\"LEDGER\\" (\\"A\\" NUMBER)')).verdict).toBe('failed');
    expect(judgeJobLog(failing('CREATE USER \\"ERP\\"')).verdict).toBe('failed');
    expect(judgeJobLog(failing('GRANT SELECT ON \\"T\\" TO \\"X\\"')).verdict).toBe('warning');
    expect(judgeJobLog(failing('ALTER TABLE \\"T\\" ADD CONSTRAINT')).verdict).toBe('warning');
  });

  test('a table that exists and was not filled is missing its rows; a sequence that exists is not', () => {
    const text = (
      statement: string,
      row = '',
    ) => `${impHead}IMP-00015: following statement failed because the object already exists:
 "${statement}"
${row}Import terminated successfully with warnings.
`;
    expect(judgeJobLog(text('CREATE TABLE "EMP" ("A" NUMBER)')).verdict).toBe('failed');
    expect(
      judgeJobLog(text('CREATE TABLE "EMP" ("A" NUMBER)', '. . importing table "EMP"   3 rows imported\n'))
        .verdict,
    ).toBe('warning');
    expect(judgeJobLog(text('CREATE SEQUENCE "S"')).verdict).toBe('warning');
  });

  test('an unknown user and a missing table are failures', () => {
    const user = `${impHead}IMP-00003: ORACLE error 1435 encountered\nORA-01435: user does not exist\nImport terminated successfully with warnings.\n`;
    const table = `${impHead}IMP-00033: Warning: Table "LEDGER" not found in export file\nImport terminated successfully with warnings.\n`;
    expect(judgeJobLog(user).verdict).toBe('failed');
    expect(judgeJobLog(table).verdict).toBe('failed');
  });
});

describe('languages of exp and imp', () => {
  test('Chinese: the verb stands right behind the name, names may be lower case', () => {
    const text = `Export: Release 11.2.0.1.0 - Production on 星期四 6月 16 10:22:54 2016
已导出 ZHS16GBK 字符集和 AL16UTF16 NCHAR 字符集
. 正在导出 PUBLIC 类型同义词
. 即将导出 TEST 的表通过常规路径...
. . 正在导出表                               T导出了           2 行
. . 正在导出表                            city导出了           4 行
. 正在导出统计信息
`;
    expect(judgeJobLog(text).verdict).toBe('incomplete');
    expect(judgeJobLog(`${text}成功终止导出, 没有出现警告。\n`)).toMatchObject({
      kind: 'exp',
      verdict: 'ok',
      rows: { 'TEST.T': 2, 'TEST.city': 4 },
    });
    expect(judgeJobLog(`${text}成功终止导出, 但出现警告。\n`).verdict).toBe('warning');
    expect(judgeJobLog(`${text}EXP-00000: 导出终止失败\n`).verdict).toBe('failed');
  });

  test('Chinese import', () => {
    const text = `Import: Release 11.2.0.1.0 - Production on 星期四 6月 16 10:22:54 2016
经由常规路径由 EXPORT:V11.02.00 创建的导出文件
已经完成 ZHS16GBK 字符集和 AL16UTF16 NCHAR 字符集中的导入
. 正在将 TEST 的对象导入到 SCOTT
. . 正在导入表                             "T"导入了           2 行
. . 正在导入表 "OLD" 4行被导入
成功终止导入, 没有出现警告。
`;
    expect(judgeJobLog(text)).toMatchObject({
      kind: 'imp',
      verdict: 'ok',
      rows: { 'SCOTT.T': 2, 'SCOTT.OLD': 4 },
    });
  });

  test.each([
    [
      'German',
      'Export der Tabelle',
      'Zeilen exportiert',
      'Export erfolgreich und ohne Warnungen beendet.',
      'Der Export wurde mit Warnungen beendet.',
    ],
    [
      'French',
      'Export de la table',
      'lignes exportées',
      "Procédure d'export terminée avec succès sans avertissements.",
      "Procédure d'export terminée avec succès avec des avertissements.",
    ],
    [
      'Spanish',
      'exportando la tabla',
      'filas exportadas',
      'La exportación ha terminado correctamente y sin advertencias.',
      'La exportación ha terminado correctamente pero con advertencias.',
    ],
    [
      'Italian',
      'esportazione della tabella',
      'righe esportate',
      'Esportazione terminata con successo, senza avvertenze.',
      'Esportazione terminata con successo, con avvertenze.',
    ],
    [
      'Portuguese',
      'exportando tabela',
      'linhas exportadas',
      'Exportação encerrada com sucesso, sem advertências.',
      'Exportação encerrada com sucesso, com advertências.',
    ],
    [
      'Japanese',
      '表をエクスポート中',
      '行エクスポートされました。',
      'エクスポートは警告なしで正常終了しました。',
      'エクスポートは警告付きで正常終了しました。',
    ],
    [
      'Korean',
      '테이블',
      '행이 엑스포트됨',
      '엑스포트가 경고 없이 정상적으로 종료되었습니다.',
      '엑스포트가 경고와 함께 정상적으로 종료되었습니다.',
    ],
    [
      'Russian',
      'экспорт таблицы',
      'строк экспортировано',
      'Экспорт успешно завершен без предупреждений.',
      'Экспорт успешно завершен с предупреждениями.',
    ],
  ])('%s', (_language, verb, counted, clean, warned) => {
    const body = `Export: Release 10.2.0.1.0 - Production\n. xxx ERP\n. . ${verb}                      INVOICES        107 ${counted}\n. yyy\n. zzz\n`;
    expect(judgeJobLog(body).verdict).toBe('incomplete');
    expect(judgeJobLog(`${body}${clean}\n`)).toMatchObject({
      kind: 'exp',
      verdict: 'ok',
      rows: { 'ERP.INVOICES': 107 },
    });
    expect(judgeJobLog(`${body}${warned}\n`).verdict).toBe('warning');
  });
});

describe('rman', () => {
  const head = `
Recovery Manager: Release 19.0.0.0.0 - Production on Tue Mar 12 10:00:00 2024
connected to target database: ERP (DBID=1234567890)

Starting backup at 12-MAR-24
allocated channel: ORA_DISK_1
channel ORA_DISK_1: starting full datafile backup set
input datafile file number=00001 name=/u01/system01.dbf
channel ORA_DISK_1: backup set complete, elapsed time: 00:00:25
Finished backup at 12-MAR-24
`;
  const stack = (
    ...codes: string[]
  ) => `RMAN-00571: ===========================================================
RMAN-00569: =============== ERROR MESSAGE STACK FOLLOWS ===============
RMAN-00571: ===========================================================
${codes.map((code) => `${code}: said the tool`).join('\n')}

`;

  test('a backup with its closing line is ok; without it incomplete', () => {
    expect(judgeJobLog(`${head}\nRecovery Manager complete.\n`)).toMatchObject({
      kind: 'rman',
      verdict: 'ok',
      rows: {},
    });
    expect(judgeJobLog(head).verdict).toBe('incomplete');
  });

  test.each([
    'Recovery Manager abgeschlossen.',
    'Recovery Manager terminado.',
    'Recovery Managerが完了しました。',
    '恢复管理器完成。',
    'Recovery Manager terminé.',
  ])('closes with %s', (closing) => {
    expect(judgeJobLog(`${head}\n${closing}\n`).verdict).toBe('ok');
  });

  test('an error stack has failed, closing line or not, and names its codes without the frame', () => {
    const judged = judgeJobLog(
      `${head}${stack('RMAN-03002', 'RMAN-06026', 'RMAN-06025')}\nRecovery Manager complete.\n`,
    );
    expect(judged).toMatchObject({ verdict: 'failed', errors: ['RMAN-03002', 'RMAN-06026', 'RMAN-06025'] });
    expect(judgeJobLog(`${head}${stack('RMAN-03002', 'ORA-19505')}`).verdict).toBe('failed');
  });

  test('an archived log kept back is a warning', () => {
    const text = `${head}RMAN-08138: warning: archived log not deleted - must create more backups\narchived log file name=/u01/1_7.arc thread=1 sequence=7\nRecovery Manager complete.\n`;
    expect(judgeJobLog(text)).toMatchObject({ verdict: 'warning', errors: ['RMAN-08138'] });
  });

  test('RMAN-06054 is harmless where the database was opened after it, and only there', () => {
    const unknown = `${head}${stack('RMAN-03002', 'RMAN-06054')}`;
    expect(judgeJobLog(`${unknown}Recovery Manager complete.\n`).verdict).toBe('failed');
    expect(
      judgeJobLog(
        `${unknown}RMAN> alter database open resetlogs;\nStatement processed\nRecovery Manager complete.\n`,
      ).verdict,
    ).toBe('warning');
    const gap = `${head}${stack('RMAN-03002', 'RMAN-06054', 'ORA-01194')}RMAN> alter database open resetlogs;\nRecovery Manager complete.\n`;
    expect(judgeJobLog(gap).verdict).toBe('failed');
  });

  test('a validation fails with 0 marked corrupt, and over unreadable blocks', () => {
    const table = (row: string, data: number) => `${head}List of Datafiles
=================
File Status Marked Corrupt Empty Blocks Blocks Examined High SCN
---- ------ -------------- ------------ --------------- ----------
${row}
  File Name: /u01/system01.dbf
  Block Type Blocks Failing Blocks Processed
  ---------- -------------- ----------------
  Data       ${data}              65535
  Index      0              12771

Finished validate at 12-MAR-24
Recovery Manager complete.
`;
    expect(
      judgeJobLog(table('1    OK     0              17777        92161           2200345', 0)).verdict,
    ).toBe('ok');
    expect(
      judgeJobLog(table('1    FAILED 0              17777        92161           2200345', 3)).verdict,
    ).toBe('failed');
    expect(
      judgeJobLog(table('1    OK     21             17777        92161           2200345', 0)).verdict,
    ).toBe('failed');
    expect(
      judgeJobLog(table('1    OK     0              17777        92161           2200345', 2)).verdict,
    ).toBe('failed');
  });

  test('with MSGNO every line has a code, and only the bad ones count', () => {
    const text = `${head}RMAN-03090: Starting backup at 12-MAR-24\nRMAN-08008: channel c1: starting full datafile backup set\nRMAN-03091: Finished backup at 12-MAR-24\nRecovery Manager complete.\n`;
    expect(judgeJobLog(text)).toMatchObject({ verdict: 'ok', errors: [] });
  });

  test('a piece that failed over to another is a warning', () => {
    const text = `${head}ORA-19870: error while restoring backup piece /b/1\nORA-19505: failed to identify file "/b/1"\n\nfailover to previous backup\n\nFinished restore at 12-MAR-24\nRecovery Manager complete.\n`;
    expect(judgeJobLog(text).verdict).toBe('warning');
  });
});

test('a text of another kind has no kind', () => {
  expect(judgeJobLog('total 12\ndrwxr-xr-x 2 root root\n').kind).toBeNull();
  expect(judgeJobLog('').kind).toBeNull();
});
