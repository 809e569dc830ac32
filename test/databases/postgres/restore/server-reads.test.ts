import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeConfigurationSafe } from '../../../../src/databases/postgres/restore/configuration.ts';
import { createTestCluster, type TestCluster } from '../../../support/cluster.ts';

/** Held against the server's own reader of configuration files (guc-file.l): what it would read before, it must not read after. */
let cluster: TestCluster;
let file: string;
let plain: string;

beforeAll(async () => {
  cluster = await createTestCluster();
  await cluster.stop();
  file = join(cluster.dataDir, 'postgresql.conf');
  plain = readFileSync(file, 'utf8');
});
afterAll(async () => cluster?.[Symbol.asyncDispose]());

function read(text: string, name: string): string {
  const { binaries, dataDir, runAs } = cluster;
  writeFileSync(file, text);
  if (runAs !== undefined) chownSync(file, runAs.uid, runAs.gid);
  const options = { env: binaries.env, cwd: '/', encoding: 'utf8', ...runAs } as const;
  return execFileSync(join(binaries.binDir, 'postgres'), ['-D', dataDir, '-C', name], options).trim();
}

test.each([
  ['archive_command', "archive_command = 'evil'"],
  ['archive_command', "ARCHIVE_COMMAND\t'evil'"],
  ['archive_command', '  archive_command =evil.sh/x:y-z#why'],
  ['archive_command', "archive_command=  'ev''il' # why"],
  ['archive_command', "archive_command = 'e\\'vil'\r"],
  ['archive_command', "archive_command = ''\narchive_command='evil'"],
  ['primary_conninfo', "Primary_ConnInfo = 'host=live'"],
  ['hba_file', "hba_file = '/production/hba'"],
  ['log_directory', "log_directory = 'a/../../production'"],
  ['log_filename', "log_filename = '../../production.log'"],
  ['external_pid_file', "external_pid_file '/production.pid'"],
  ['unix_socket_directories', "unix_socket_directories = '@production'"],
  ['ssl_ca_file', "ssl_ca_file='/production/ca'"],
])('%s is out of action for the server: %j', (name, line) => {
  const before = read(plain, name);
  const dangerous = `${plain}\n${line}\n`;
  expect(read(dangerous, name)).not.toBe(before);
  expect(read(makeConfigurationSafe(dangerous, 'postgresql.conf').text, name)).toBe(before);
});
