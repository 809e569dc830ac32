import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  isActiveLibrary,
  makeConfigurationSafe,
  readSetting,
} from '../../../../src/databases/postgres/restore/configuration.ts';

test.each([
  ["archive_command = 'cp %p /archive/%f'", 'archive_command', 'cp %p /archive/%f'],
  ['archive_mode on', 'archive_mode', 'on'],
  ["  Archive_Mode='always' # why", 'archive_mode', 'always'],
  ["log_directory = '/it''s here'", 'log_directory', "/it's here"],
  ["log_directory = '/a\\'b'", 'log_directory', "/a'b"],
  ['port=5432# no blank', 'port', '5432'],
])('the line %j is read', (line, name, value) => {
  expect(readSetting(line)).toEqual({ name, value });
});

test.each(['# archive_mode = on', '', '   ', '= on', "'quoted'"])('the line %j is no setting', (line) => {
  expect(readSetting(line)).toBeNull();
});

const production = `data_directory = '/var/lib/postgresql/18/main'
hba_file = '/etc/postgresql/18/main/pg_hba.conf'
external_pid_file = '/run/postgresql/18-main.pid'
listen_addresses = '*'
port = 5432
shared_buffers = 128MB
archive_mode = on
archive_library = 'basic_archive'
basic_archive.archive_directory = '/spool'
shared_preload_libraries = 'pg_stat_statements, pg_cron'
cron.database_name = 'erp'
log_directory = '/var/log/postgresql'
logging_collector = on
include 'extra.conf'
include_dir '/etc/postgresql/conf.d'
synchronous_standby_names = 'ANY 1 (a, b)'
primary_conninfo = 'host=live password=secret'
`;

test('what would touch production is put out of action, line by line, and the rest stays', () => {
  const { text, changes, includes } = makeConfigurationSafe(production, 'postgresql.conf');
  expect(changes.map(({ name }) => name)).toEqual([
    'data_directory',
    'hba_file',
    'external_pid_file',
    'listen_addresses',
    'archive_mode',
    'archive_library',
    'basic_archive.archive_directory',
    'shared_preload_libraries',
    'cron.database_name',
    'log_directory',
    'include_dir',
    'synchronous_standby_names',
    'primary_conninfo',
  ]);
  expect(includes).toEqual([{ kind: 'file', path: 'extra.conf' }]);
  const active = text.split('\n').flatMap((line) => readSetting(line)?.name ?? []);
  expect(active).toEqual([
    'port',
    'shared_buffers',
    'shared_preload_libraries',
    'logging_collector',
    'include',
  ]);
  expect(text).toContain("shared_preload_libraries = 'pg_stat_statements'");
});

test('a relative path stays, one that leaves the data directory goes', () => {
  const off = (text: string): number => makeConfigurationSafe(text, 'x').changes.length;
  expect(off("log_directory = 'log'")).toBe(0);
  expect(off("ssl_cert_file = 'server.crt'")).toBe(0);
  expect(off("log_directory = '../log'")).toBe(1);
  expect(off("log_directory = '/log'")).toBe(1);
  expect(off("include '../other.conf'")).toBe(1);
});

test('making a safe configuration safe changes nothing', () => {
  const once = makeConfigurationSafe(production, 'x').text;
  expect(makeConfigurationSafe(once, 'x')).toMatchObject({ text: once, changes: [] });
});

test('no text at all leaves an archiving setting in action', () => {
  const line = fc.oneof(
    fc.string(),
    fc
      .constantFrom('archive_mode', 'ARCHIVE_COMMAND', 'primary_conninfo')
      .chain((name) => fc.constantFrom('=', ' = ', ' ').map((equals) => `${name}${equals}'x'`)),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const { text } = makeConfigurationSafe(lines.join('\n'), 'x');
      const names = text.split('\n').flatMap((one) => readSetting(one)?.name ?? []);
      expect(names.filter((name) => /^(archive_mode|archive_command|primary_conninfo)$/.test(name))).toEqual(
        [],
      );
    }),
  );
});

test('a library is known under each of its names', () => {
  expect(['pg_cron', '$libdir/pg_cron', '/usr/lib/pg_cron.so'].map(isActiveLibrary)).toEqual([
    true,
    true,
    true,
  ]);
  expect(isActiveLibrary('pg_stat_statements')).toBe(false);
});
