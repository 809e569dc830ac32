import { expect, test } from 'vitest';
import { judgeJobLog } from '../../src/proof/job-log.ts';

/**
 * Forms of log that were seen in public (docs/how-to/oracle.md lists where), written anew with other names and numbers. Each
 * is one that a judge by "completed with 0 errors" or by "successfully" gets wrong.
 */

const impdp = (job: string, ...lines: string[]): string =>
  [
    'Import: Release 19.0.0.0.0 - Production on Wed Sep 17 14:49:45 2025',
    'Connected to: Oracle Database 19c Enterprise Edition Release 19.0.0.0.0 - Production',
    `Master table "DBA1"."${job}" successfully loaded/unloaded`,
    `Starting "DBA1"."${job}":  dba1/******** directory=dumps dumpfile=erp.dmp`,
    ...lines,
    '',
  ].join('\n');

const closed = (job: string, errors: number, at = 'Wed Sep 17 14:49:51 2025 elapsed 0 00:00:06'): string =>
  `Job "DBA1"."${job}" completed with ${errors} error(s) at ${at}`;

const schema = 'SYS_IMPORT_SCHEMA_01';
const full = 'SYS_IMPORT_FULL_01';

test.each([
  [
    'a user that exists, and a closing line of 10g with the time alone',
    impdp(
      schema,
      'Processing object type DATABASE_EXPORT/SCHEMA/USER',
      'ORA-31684: Object type USER:"ERP" already exists',
      '. . imported "ERP"."ITEM"                               26.63 MB  315008 rows',
      closed(schema, 1, '19:13:25'),
    ),
    'warning',
    { 'ERP.ITEM': 315_008 },
  ],
  [
    'a package body that needs a grant, its type in two words',
    impdp(
      schema,
      '. . imported "ERP"."CUSTOMER"                           117.5 MB 1085457 rows',
      'ORA-39082: Object type PACKAGE BODY:"ERP"."ORDERENTRY" created with compilation warnings',
      closed(schema, 1),
    ),
    'warning',
    { 'ERP.CUSTOMER': 1_085_457 },
  ],
  [
    'a database link that was refused, with LOGTIME and METRICS before every line',
    impdp(
      schema,
      '02-JUL-25 13:42:30.736: W-1 Processing object type SCHEMA_EXPORT/DB_LINK',
      '02-JUL-25 13:42:30.809: ORA-31685: Object type DB_LINK:"ERP"."F1" failed due to insufficient privileges. Failing sql is:',
      `CREATE DATABASE LINK "F1"  CONNECT TO "F1" IDENTIFIED BY VALUES ':1'  USING '//localhost:1521/red'`,
      '02-JUL-25 13:42:30.819: W-1      Completed 1 DB_LINK objects in 0 seconds',
      '02-JUL-25 13:42:40.819: W-1 . . imported "ERP"."T"   5.023 KB       4 rows in 0 seconds using direct_path',
      `02-JUL-25 13:43:11.295: ${closed(schema, 1)}`,
    ),
    'warning',
    { 'ERP.T': 4 },
  ],
  [
    'statistics of an index, whose failing statement holds an INSERT in a text',
    impdp(
      full,
      '. . imported "ERP"."T"                                  5.023 KB       4 rows',
      'ORA-39083: Object type INDEX_STATISTICS failed to create with error:',
      'ORA-01403: no data found',
      'ORA-01403: no data found',
      'Failing sql is:',
      `DECLARE I_N VARCHAR2(60); stmt varchar2(300) := ' INSERT INTO "SYS"."IMPDP_STATS" (type,version) VALUES (''I'',6)';BEGIN DELETE`,
      'Processing object type SCHEMA_EXPORT/VIEW/VIEW',
      closed(full, 153),
    ),
    'warning',
    { 'ERP.T': 4 },
  ],
  [
    'a partition that was skipped among others that were loaded',
    impdp(
      full,
      'ORA-39152: Table "ERP"."JNL" exists. Data will be appended to existing table but all dependent metadata will be skipped due to table_exists_action of append',
      'ORA-31696: unable to export/import TABLE_DATA:"ERP"."JNLLOG" using client specified AUTOMATIC method',
      'ORA-31693: Table data object "ERP"."JNL":"JNL_2011" failed to load/unload and is being skipped due to error:',
      'ORA-00001: unique constraint (ERP.PK_JNL) violated',
      '. . imported "ERP"."JNL":"JNL_2010"                          0 KB       0 rows',
      closed(full, 3),
    ),
    'failed',
    { 'ERP.JNL': 0 },
  ],
  [
    'a table that direct path could not load',
    impdp(
      full,
      '. . imported "ERP"."BUDGET"                              195.2 KB    2327 rows',
      'ORA-31693: Table data object "ERP"."UNIT" failed to load/unload and is being skipped due to error:',
      'ORA-02354: error in exporting/importing data',
      'ORA-39776: fatal Direct Path API error loading table "ERP"."UNIT"',
      'ORA-00600: internal error code, arguments: [klaevcnulcolnum], [], [], [], [], [], [], []',
      closed(full, 1),
    ),
    'failed',
    { 'ERP.BUDGET': 2327 },
  ],
  [
    'a log that somebody shortened: no closing line',
    impdp(schema, '. . imported "ERP"."T"                     5.023 KB       4 rows'),
    'incomplete',
    { 'ERP.T': 4 },
  ],
])('%s', (_, text, verdict, rows) => {
  expect(judgeJobLog(text)).toMatchObject({ kind: 'impdp', verdict, rows });
});

test('a table that imp skipped for its type fails, although the import terminated successfully', () => {
  const text = `Import: Release 10.2.0.1.0 - Production on Fri Aug 10 14:10:46 2007
Export file created by EXPORT:V09.02.00 via conventional path
. importing ERP's objects into CLONA
. . importing table                      "MSG"         61 rows imported
IMP-00060: Warning: Skipping table "CLONA"."QT" because object type "SYS"."AQ$_JMS_USERPROPARRAY"  does not exist or has different identifier
. . importing table                 "ARCHIVES"          0 rows imported
Import terminated successfully with warnings.
`;
  expect(judgeJobLog(text)).toMatchObject({ kind: 'imp', verdict: 'failed', errors: ['IMP-00060'] });
});

test('a recovery that lacks logs fails, whatever RMAN did before', () => {
  const text = `Recovery Manager: Release 19.0.0.0.0 - Production on Thu Mar 16 13:40:00 2023
Starting recover at 16-MAR-23
Oracle Error: 
ORA-01547: warning: RECOVER succeeded but OPEN RESETLOGS would get error below
ORA-01194: file 1 needs more recovery to be consistent
ORA-01110: data file 1: '/oradata/erp/system01.dbf'

RMAN-00571: ===========================================================
RMAN-00569: =============== ERROR MESSAGE STACK FOLLOWS ===============
RMAN-00571: ===========================================================
RMAN-03002: failure of recover command at 03/16/2023 13:49:02
RMAN-06053: unable to perform media recovery because of missing log
RMAN-06025: no backup of archived log for thread 1 with sequence 20620 and starting SCN of 959994799549 found to restore
RMAN-06025: no backup of archived log for thread 1 with sequence 20619 and starting SCN of 959994645797 found to restore

Recovery Manager complete.
`;
  expect(judgeJobLog(text)).toMatchObject({ kind: 'rman', verdict: 'failed' });
});
