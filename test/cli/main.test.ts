import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));

function clona(...args: string[]) {
  return spawnSync(process.execPath, [launcher, ...args], { encoding: 'utf8' });
}

test('--version prints the version of package.json', () => {
  const { status, stdout } = clona('--version');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('an unknown verb is a usage error with a code and a hint, without a stack trace', () => {
  const { status, stdout, stderr } = clona('frobnicate');
  expect(status).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toContain('there is no verb "frobnicate" [CLONA-0100]');
  expect(stderr).toContain('hint: see: clona --help');
  expect(stderr).not.toMatch(/^ {4}at /m);
});
