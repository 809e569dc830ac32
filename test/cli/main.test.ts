import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

test('a verb that is nearly right comes with the one that was meant', () => {
  expect(clona('evidnce').stderr).toContain('did you mean "evidence"?');
});

test('"help VERB" and common options before the verb mean what they say', () => {
  expect(clona('help', 'evidence').stdout).toContain('Usage: clona evidence');
  const { status, stdout } = clona('--json', '--site', 'none.yaml', 'frobnicate');
  expect(status).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CLONA-0100', exitCode: 2 } });
});

test('a Node.js that is too old is told apart from a mistake, in one line with the way out', () => {
  const text = readFileSync(launcher, 'utf8');
  // The launcher must parse on any Node.js: nothing but syntax of 2020, no TypeScript.
  expect(text).toContain('needs Node.js 24 or newer');
  expect(text).not.toMatch(/\?\?=|\|\|=|using |#[a-z]+ in /);
});
