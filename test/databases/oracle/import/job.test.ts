import { describe, expect, test } from 'vitest';
import {
  createCloneUser,
  decideCloneUser,
  pairSchemas,
  readSchemaName,
} from '../../../../src/databases/oracle/import/clone-schema.ts';
import { describeJob, type ImportJob } from '../../../../src/databases/oracle/import/job-text.ts';
import { impRun, impdpRun } from '../../../../src/databases/oracle/import/parameter-file.ts';

const job: ImportJob = {
  name: 'CLONA_1',
  pairs: pairSchemas(['ERP', 'My Erp'], 'CLONA'),
  tablespaces: { DATA: 'CLONA_DATA' },
  directory: 'DUMPS',
  dumpFiles: ['erp01.dmp', 'erp02.dmp'],
  logFile: 'clona.log',
  parallel: { degree: 1, licensed: false },
};

describe('names of schemas', () => {
  test.each([
    ['erp', 'ERP'],
    ['Erp', 'ERP'],
    ['"Erp"', 'Erp'],
    ['"my erp"', 'my erp'],
    ['ERP_1$#', 'ERP_1$#'],
  ])('%s is %s', (text, name) => expect(readSchemaName(text)).toBe(name));

  test.each(['1erp', 'my erp', 'a"b', '', '""', 'erp;drop'])('%s is refused', (text) =>
    expect(() => readSchemaName(text)).toThrow('is no name of a schema'),
  );

  test('the copy has the prefix of the site, and the case of the original', () => {
    expect(pairSchemas(['ERP', 'Erp'], 'x')).toEqual([
      { live: 'ERP', clone: 'X_ERP' },
      { live: 'Erp', clone: 'X_Erp' },
    ]);
  });

  test.each([
    ['a schema of the server', ['SYS'], 128 as const],
    ['a name that becomes too long', ['A'.repeat(28)], 30 as const],
    ["a name that takes another schema's place", ['ERP', 'CLONA_ERP'], 128 as const],
    ['none at all', [], 128 as const],
  ])('%s is refused', (_, schemas, limit) => expect(() => pairSchemas(schemas, 'CLONA', limit)).toThrow(/./));

  test('only what clona made for this schema is ever replaced', () => {
    const pair = { live: 'ERP', clone: 'CLONA_ERP' };
    expect(decideCloneUser(pair, { exists: false, markedFor: null }).do).toBe('create');
    expect(decideCloneUser(pair, { exists: true, markedFor: 'ERP' }).do).toBe('replace');
    expect(decideCloneUser(pair, { exists: true, markedFor: null }).do).toBe('refuse');
    expect(decideCloneUser(pair, { exists: true, markedFor: 'HR' }).do).toBe('refuse');
  });

  test('the user of the copy cannot log on, and has room where its tables go', () => {
    const [create] = createCloneUser(
      {
        pair: { live: 'ERP', clone: 'CLONA_ERP' },
        tablespaces: ['IDX', 'DATA'],
        defaultTablespace: 'DATA',
      },
      19,
      'random',
    );
    expect(create).toBe(
      'CREATE USER "CLONA_ERP" NO AUTHENTICATION DEFAULT TABLESPACE "DATA" QUOTA UNLIMITED ON "DATA" QUOTA UNLIMITED ON "IDX" ACCOUNT LOCK',
    );
  });
});

describe('the job', () => {
  test('binds every name and the password', () => {
    const calls = describeJob(job, '7', "it's secret");
    expect(calls.map(({ sql }) => sql).join('\n')).not.toMatch(/secret'|My Erp|erp01/);
    const said = calls.map(({ sql, binds }) => [
      /DBMS_DATAPUMP\.(\w+)/.exec(sql)?.[1],
      Object.values(binds).slice(1),
    ]);
    expect(said).toEqual([
      ['ADD_FILE', ['erp01.dmp', 'DUMPS']],
      ['ADD_FILE', ['erp02.dmp', 'DUMPS']],
      ['ADD_FILE', ['clona.log', 'DUMPS']],
      ['SET_PARAMETER', ["it's secret"]],
      ['METADATA_FILTER', ["IN ('ERP', 'My Erp')"]],
      ['METADATA_FILTER', [expect.stringContaining("'SYSTEM_GRANT', 'ROLE_GRANT'")]],
      ['METADATA_REMAP', ['REMAP_SCHEMA', 'ERP', 'CLONA_ERP']],
      ['METADATA_REMAP', ['REMAP_SCHEMA', 'My Erp', 'CLONA_My Erp']],
      ['METADATA_REMAP', ['REMAP_TABLESPACE', 'DATA', 'CLONA_DATA']],
      ['METADATA_TRANSFORM', [0]],
      ['SET_PARAMETER', ['SKIP']],
    ]);
  });

  test('runs in parallel only where the site says that it is licensed', () => {
    const parallel = (licensed: boolean) =>
      describeJob({ ...job, parallel: { degree: 4, licensed } }, '7').at(-1)?.binds;
    expect(parallel(true)).toEqual({ handle: '7', degree: 4 });
    expect(() => parallel(false)).toThrow('needs a licence');
  });
});

describe('parameter files', () => {
  test('impdp: names that are not all capitals keep their quotes, no secret is in argv', () => {
    const logon = { kind: 'prompt', user: 'clona', password: 'S3cret', connect: 'erpdb' } as const;
    const { argv, parameters, stdin } = impdpRun(job, logon, '/tmp/clona.par');
    expect(argv).toEqual(['impdp', 'clona@erpdb', 'PARFILE=/tmp/clona.par']);
    expect(stdin).toBe('S3cret\n');
    expect(parameters).toContain('REMAP_SCHEMA=ERP:CLONA_ERP\nREMAP_SCHEMA="My Erp":"CLONA_My Erp"\n');
    expect(parameters).toContain('TRANSFORM=OID:N\n');
    expect(parameters).not.toMatch(/S3cret|PARALLEL/);
  });

  test('imp: by wallet, files with spaces in quotes', () => {
    const { argv, parameters } = impRun(
      { pairs: pairSchemas(['ERP', 'Erp'], 'CLONA'), files: ['/b/erp 1.dmp'], logPath: '/b/imp.log' },
      { kind: 'wallet', alias: 'staging' },
      '/tmp/imp.par',
    );
    expect(argv[1]).toBe('/@staging');
    expect(parameters).toContain('FILE=("/b/erp 1.dmp")\n');
    expect(parameters).toContain('FROMUSER=(ERP,"Erp")\nTOUSER=(CLONA_ERP,"CLONA_Erp")\n');
  });

  test.each(['a b', 'x,y', '../x', 'p%U', 'a"', "a'", 'a\nb'])(
    '%j is refused as the name of a file',
    (name) =>
      expect(() => impdpRun({ ...job, logFile: name }, { kind: 'sysdba' }, '/p')).toThrow('parameter file'),
  );
});
