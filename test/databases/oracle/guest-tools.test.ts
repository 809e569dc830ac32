import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  requireEmptyFolders,
  requireService,
  runNid,
  runRman,
  runSqlPlus,
  type OracleTools,
} from '../../../src/databases/oracle/guest-tools.ts';
import { inlineBinds, openSqlPlusSession, parseCsv } from '../../../src/databases/oracle/sqlplus-session.ts';
import type { CommandOptions, CommandResult, Guest } from '../../../src/guest/guest.ts';
import { createHostGuest } from '../../support/host-guest.ts';
import { makeTestFolder } from '../../support/machine.ts';

const { signal } = new AbortController();

/** A guest that keeps what it was told to run: there is no Windows here. */
function recordingGuest(platform: 'linux' | 'windows', exitCode = 0) {
  const calls: { argv: readonly string[]; env: CommandOptions['env'] }[] = [];
  const files = new Map<string, string>();
  const run = async (argv: readonly string[], { env }: CommandOptions): Promise<CommandResult> => {
    calls.push({ argv, env });
    return { exitCode, signal: null, stdout: 'said', stderr: '' };
  };
  const writeFile = async (path: string, content: Buffer | string): Promise<void> => {
    files.set(path, content.toString());
  };
  const readFile = async (): Promise<Buffer> => Buffer.from('DBNEWID - Completed successfully.');
  const guest = { ...createHostGuest('/nowhere'), platform, run, writeFile, readFile } satisfies Guest;
  return { calls, files, guest };
}

const toolsOf = (guest: Guest): OracleTools =>
  guest.platform === 'windows'
    ? {
        guest,
        home: 'C:\\oracle\\dbhome_1',
        instanceName: 'CLONA',
        workDir: 'C:\\Windows\\Temp\\clona',
        signal,
      }
    : { guest, home: '/u01/dbhome_1', instanceName: 'CLONA', workDir: '/var/tmp/clona', signal };

test.each([
  ['linux', '/u01/dbhome_1/bin/rman', '/var/tmp/clona/restore.rman'],
  ['windows', 'C:\\oracle\\dbhome_1\\bin\\rman.exe', 'C:\\Windows\\Temp\\clona\\restore.rman'],
] as const)(
  'RMAN on %s gets its program as a file, NOCATALOG, and the instance by its environment',
  async (platform, program, file) => {
    const { calls, files, guest } = recordingGuest(platform);
    expect(await runRman(toolsOf(guest), 'restore', 'RESTORE DATABASE;\n')).toEqual({
      text: 'said',
      exitCode: 0,
    });
    expect(calls[0]?.argv).toEqual([program, 'target', '/', 'nocatalog', `cmdfile=${file}`]);
    expect(calls[0]?.env).toMatchObject({ ORACLE_SID: 'CLONA' });
    expect(files.get(file)).toBe('RESTORE DATABASE;\n');
  },
);

test('SQL*Plus is silent, and not logged on by its command line', async () => {
  const { calls, guest } = recordingGuest('linux');
  await runSqlPlus(toolsOf(guest), 'ask', 'EXIT 0\n');
  expect(calls[0]?.argv).toEqual(['/u01/dbhome_1/bin/sqlplus', '-S', '/nolog', '@/var/tmp/clona/ask.sql']);
});

test('what nid writes to its log belongs to its output', async () => {
  const { guest } = recordingGuest('linux');
  const { text } = await runNid(toolsOf(guest), ['nid', 'TARGET=/'], '/var/tmp/clona/nid.log');
  expect(text).toContain('DBNEWID');
});

test('a machine without Oracle is told from a failure of Oracle', async () => {
  const { guest } = recordingGuest('linux', 127);
  await expect(runRman(toolsOf(guest), 'x', '')).rejects.toMatchObject({
    kind: 'guestFailed',
    hint: expect.stringContaining('ORACLE_HOME'),
  });
});

test('folders are made, and must be empty', async () => {
  const folder = await makeTestFolder();
  try {
    const guest = createHostGuest(folder);
    const tools = { ...toolsOf(guest), workDir: folder };
    await requireEmptyFolders(tools, [join(folder, 'a/b'), join(folder, 'c')]);
    await guest.writeFile(join(folder, 'c/file'), 'x', 0o600, signal);
    await expect(requireEmptyFolders(tools, [join(folder, 'c')])).rejects.toMatchObject({
      kind: 'targetOccupied',
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test.each([
  [
    '\n"ERP",12\n"HR",\n',
    [
      ['ERP', '12'],
      ['HR', null],
    ],
  ],
  ['\r\n"a ""b"", c",9007199254740993\r\n', [['a "b", c', '9007199254740993']]],
  ['\n"two\nlines","x"\n', [['two\nlines', 'x']]],
  ['\n', []],
  ['', []],
  ['\n,"x"', [[null, 'x']]],
])('rows of SQL*Plus come back as they were: %j', (text, rows) => {
  expect(parseCsv(text)).toEqual(rows);
});

test('values become literals where a bind stands, and nowhere else', () => {
  const sql = `SELECT ':name', ":name", a || ':b' -- :name
  FROM t WHERE x := :name AND y = :count AND z = :none /* :name */`;
  expect(inlineBinds(sql, { name: "O'Hara & ;", count: 7, none: null }))
    .toBe(`SELECT ':name', ":name", a || ':b' -- :name
  FROM t WHERE x := 'O''Hara & ;' AND y = 7 AND z = NULL /* :name */`);
  expect(() => inlineBinds('SELECT :other FROM t', {})).toThrow(/nothing is bound/);
});

test.each([
  ['is made where it is not there', 1060, true],
  ['is left as it is where it is there', 0, false],
] as const)('on Windows the service of an instance %s', async (_, found, isMade) => {
  const { guest } = recordingGuest('windows');
  const calls: (readonly string[])[] = [];
  const run = async (argv: readonly string[]): Promise<CommandResult> => {
    calls.push(argv);
    return { exitCode: argv[0] === 'sc.exe' ? found : 0, signal: null, stdout: '', stderr: '' };
  };
  await requireService(toolsOf({ ...guest, run }));
  expect(calls[0]).toEqual(['sc.exe', 'query', 'OracleServiceCLONA']);
  const made = ['C:\\oracle\\dbhome_1\\bin\\oradim.exe', '-NEW', '-SID', 'CLONA', '-STARTMODE', 'manual'];
  expect(calls.slice(1)).toEqual(isMade ? [made] : []);
});

test('a SQL*Plus that did not connect gives no rows, although it ends well', async () => {
  const { guest } = recordingGuest('linux');
  const stdout = 'ERROR:\nORA-01031: insufficient privileges\nclona-rows\nSP2-0640: Not connected\n';
  const refusing = { ...guest, run: async () => ({ exitCode: 0, signal: null, stdout, stderr: '' }) };
  const session = openSqlPlusSession(toolsOf(refusing));
  await expect(session.query('SELECT 1 FROM DUAL')).rejects.toMatchObject({ kind: 'databasePrivilege' });
});

test('what SQL*Plus refuses is said as the driver would say it', async () => {
  const { guest } = recordingGuest('linux', 1);
  const stdout = 'SELECT * FROM v$nothing\n *\nERROR at line 1:\nORA-00942: table or view does not exist\n';
  const refusing = { ...guest, run: async () => ({ exitCode: 1, signal: null, stdout, stderr: '' }) };
  const session = openSqlPlusSession(toolsOf(refusing));
  await expect(session.query('SELECT * FROM v$nothing')).rejects.toMatchObject({
    kind: 'databasePrivilege',
    details: { code: 'ORA-00942' },
  });
});
