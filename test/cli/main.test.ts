import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
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

test.for([
  ['catalog', '--archive', ''],
  ['restore', '--archive=', '--to', 'back'],
  ['release', '--kit', 'kit', '--hash', ''],
  ['backup', '--site', ''],
  ['signoff', '--checklist', ''],
])('an option without its value is never taken for one left out: %s %s', (words) => {
  const { status, stderr } = clona(...words);
  expect(status).toBe(2);
  expect(stderr).toMatch(/--(archive|hash|site|checklist) is empty \[CLONA-0100\]/);
});

test('a control character of a catalog file is shown, and never reaches the terminal', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'clona-main-'));
  try {
    const file = join(folder, 'catalog.json');
    const evil = '\u001B[2J\u0007\r\u009B31m\u202Ered';
    const backup = {
      incarnation: 1,
      kind: 'managed',
      start: '5',
      consistentFrom: '5',
      startedAt: null,
      state: 'available',
      ownLog: false,
      grade: null,
      pinned: false,
    };
    const catalog = {
      engine: 'oracle',
      database: 'ERP',
      currentIncarnation: 1,
      incarnations: [{ id: 1, parent: null, branchPosition: '1', openedAt: null }],
      backups: [{ ...backup, label: evil, finishedAt: '2024-05-01T00:00:00Z' }],
      logs: [],
      onlineLogs: [],
    };
    await writeFile(file, JSON.stringify(catalog));
    // oxlint-disable-next-line no-control-regex
    const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;
    for (const words of [['plan'], ['plan', '--until', `backup:${evil}x`], ['incarnations']]) {
      const { stdout, stderr } = clona(...words, '--catalog', file);
      expect(stdout + stderr).not.toMatch(controls);
    }
    expect(clona('plan', '--catalog', file).stdout).toContain('\\u{1b}[2J');
    expect(JSON.parse(clona('plan', '--catalog', file, '--json').stdout)).toMatchObject({ backup: evil });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a Node.js that is too old is told apart from a mistake, in one line with the way out', () => {
  const text = readFileSync(launcher, 'utf8');
  // The launcher must parse on any Node.js: nothing but syntax of 2020, no TypeScript.
  expect(text).toContain('needs Node.js 24 or newer');
  expect(text).not.toMatch(/\?\?=|\|\|=|using |#[a-z]+ in /);
});

const waiting = [
  ['plan', '--catalog', 'PIPE'],
  ['incarnations', '--catalog', 'PIPE'],
  ['retention', '--catalog', 'PIPE', '--policy', 'PIPE'],
  ['prove', '--job-log', 'PIPE'],
  ['evidence', 'verify', 'PIPE'],
];

test.skipIf(process.platform === 'win32')(
  'a kit that is a pipe is refused, and nobody waits for it',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'clona-main-'));
    try {
      const pipe = join(folder, 'kit.tar');
      expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
      const { status, stderr } = clona('kit', 'hash', pipe);
      expect({ status, stderr }).toEqual({
        status: 2,
        stderr: expect.stringContaining('neither a file nor'),
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

test.skipIf(process.platform === 'win32').for(waiting)(
  'a verb that waits for its input ends with 143 at SIGTERM and 130 at SIGINT: %s %s',
  async (words) => {
    const folder = await mkdtemp(join(tmpdir(), 'clona-main-'));
    const pipe = join(folder, 'pipe');
    try {
      expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
      for (const [signal, code] of [
        ['SIGTERM', 143],
        ['SIGINT', 130],
      ] as const) {
        const args = words.map((word) => (word === 'PIPE' ? pipe : word));
        const child = spawn(process.execPath, [launcher, ...args]);
        let said = '';
        child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
        // Opening the other end succeeds once the verb waits at its end.
        const writer = await open(pipe, 'w');
        child.kill(signal);
        const [exitCode, endedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
        // Where the pipe holds a thread the signal itself ends the process; a shell tells both alike.
        const status = exitCode ?? 128 + constants.signals[endedBy ?? 'SIGKILL'];
        await writer.close();
        expect({ status, said }).toEqual({ status: code, said: expect.stringContaining('[CLONA-000') });
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
