import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkKit } from '../../src/kit/check.ts';
import { servesVersion } from '../../src/kit/manifest.ts';
import { parseManifest, showProblem } from '../../src/kit/read-manifest.ts';
import { plainKit, writeFolder } from './helpers/archives.ts';

const signal = new AbortController().signal;
const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));

function problemsOf(text: string): string[] {
  const parsed = parseManifest(text);
  return 'problems' in parsed ? parsed.problems.map(showProblem) : [];
}

function manifestOf(text: string) {
  const parsed = parseManifest(text);
  if ('problems' in parsed) throw new Error(parsed.problems.map(showProblem).join('\n'));
  return parsed.manifest;
}

const head = 'name: erp\nversion: "2.1"\nfromVersions: ["2.0"]\nsteps:\n';

describe('kit.yaml', () => {
  test('gives its steps with their defaults', () => {
    const manifest = manifestOf(`${head}  - sql: migrate.sql
    timeout: 5m
  - name: post
    run: [bin/post.sh, --fast]
    repeatable: true
    timeout: 90
  - run: |
      echo one
      echo two
  - service: restart erp
  - files: program
  - files: { from: program, to: app, replace: true }
`);
    const common = { timeoutMs: 600_000, repeatable: false };
    expect(manifest).toMatchObject({
      name: 'erp',
      version: '2.1',
      fromVersions: ['2.0'],
      versionFile: 'VERSION',
    });
    expect(manifest.steps).toEqual([
      {
        ...common,
        kind: 'sql',
        name: 'sql migrate.sql',
        file: 'migrate.sql',
        timeoutMs: 300_000,
        transaction: true,
        lockTimeoutMs: null,
      },
      {
        kind: 'run',
        name: 'post',
        command: { argv: ['bin/post.sh', '--fast'] },
        repeatable: true,
        timeoutMs: 90_000,
      },
      { ...common, kind: 'run', name: 'run 3', command: { script: 'echo one\necho two\n' } },
      {
        ...common,
        kind: 'service',
        name: 'restart erp (4)',
        action: 'restart',
        service: 'erp',
        repeatable: true,
      },
      {
        ...common,
        kind: 'files',
        name: 'files program',
        from: 'program',
        to: 'program',
        replace: false,
        repeatable: true,
      },
      {
        ...common,
        kind: 'files',
        name: 'files app',
        from: 'program',
        to: 'app',
        replace: true,
        repeatable: true,
      },
    ]);
  });

  test('takes from-versions, and versions without quotes as they are written', () => {
    const manifest = manifestOf(
      'name: erp\nversion: 2.10\nfrom-versions: [2.0, 1.*]\nsteps: [{ service: stop erp }]\n',
    );
    expect(manifest).toMatchObject({ version: '2.10', fromVersions: ['2.0', '1.*'] });
  });

  test.each([
    [
      'an unknown key',
      `${head}  - sql: a.sql\n    timout: 5m\n`,
      'kit.yaml:6: steps[0].timout: unknown key; allowed: name, sql',
    ],
    [
      'an unknown key at the top',
      `${head}  - sql: a.sql\nsteppes: 1\n`,
      'kit.yaml:6: steppes: unknown key; allowed: name, version',
    ],
    ['a missing name', 'version: "1"\nsteps:\n  - sql: a\n', 'kit.yaml:1: name: is missing'],
    ['no step', 'name: erp\nversion: "1"\nsteps: []\n', 'kit.yaml:3: steps: expected at least one step'],
    [
      'a step of two kinds',
      `${head}  - service: stop erp\n  - sql: a.sql\n    run: ls\n`,
      'kit.yaml:6: steps[1]: a step is exactly one of',
    ],
    ['a step of no kind', `${head}  - name: nothing\n`, 'this one is none'],
    [
      'two steps of one name',
      `${head}  - sql: a.sql\n  - sql: a.sql\n`,
      'kit.yaml:6: steps[1]: a second step named "sql a.sql"',
    ],
    [
      'a wrong time',
      `${head}  - sql: a.sql\n    timeout: soon\n`,
      'kit.yaml:6: steps[0].timeout: expected a time like',
    ],
    [
      'a zero time',
      `${head}  - sql: a.sql\n    timeout: 0\n`,
      'kit.yaml:6: steps[0].timeout: expected a time like',
    ],
    [
      'a wrong type',
      `${head}  - sql: a.sql\n    repeatable: often\n`,
      'kit.yaml:6: steps[0].repeatable: expected true or false',
    ],
    [
      'a path out of the kit',
      `${head}  - sql: ../a.sql\n`,
      'kit.yaml:5: steps[0].sql: the kit holds a path that leads out',
    ],
    [
      'a transaction for a command',
      `${head}  - run: ls\n    transaction: true\n`,
      'belongs to sql steps only',
    ],
    [
      'a wrong service',
      `${head}  - service: kill erp\n`,
      'kit.yaml:5: steps[0].service: expected start, stop or restart',
    ],
    ['a key twice', 'name: a\nname: b\n', 'kit.yaml:2: Map keys must be unique'],
    [
      'a key in both spellings',
      `${head}  - sql: a\nfrom-versions: ["1"]\n`,
      'kit.yaml:6: from-versions: is given twice',
    ],
    ['broken YAML', 'name: [a\n', 'kit.yaml:2:'],
    ['a list', '- a\n', 'kit.yaml:1: expected name, version and steps'],
    ['nothing', '', 'kit.yaml:1: expected name, version and steps'],
  ])('with %s is refused with its line', (_name, text, expected) => {
    expect(problemsOf(text).join('\n')).toContain(expected);
  });

  test('that unfolds by aliases is refused', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${['b', 'c', 'd', 'e', 'f', 'g']
      .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdef'[index]}`).join(',')}]\n`)
      .join('')}`;
    expect(problemsOf(bomb).join()).toMatch(/alias/i);
  });
});

test('a version is served exactly or by a star at the end', () => {
  expect(servesVersion(['2.0'], '2.0')).toBe(true);
  expect(servesVersion(['2.0'], '2.0.1')).toBe(false);
  expect(servesVersion(['1.9', '2.*'], '2.7')).toBe(true);
  expect(servesVersion(['2.*'], '20.1')).toBe(false);
  expect(servesVersion(['*'], 'anything')).toBe(true);
  expect(servesVersion([], 'anything')).toBe(true);
});

describe('a kit', () => {
  let work: string;
  beforeEach(async () => {
    work = await mkdtemp(join(tmpdir(), 'clona-check-'));
  });
  afterEach(async () => {
    await rm(work, { recursive: true, force: true });
  });

  test('whose files are there is in order', async () => {
    const check = await checkKit(await writeFolder(work, plainKit), signal);
    expect(check).toMatchObject({ ok: true, problems: [], warnings: [], manifest: { name: 'erp' } });
  });

  test('is checked for the files its steps name, and for what its SQL cannot do', async () => {
    await writeFolder(work, [
      {
        path: 'kit.yaml',
        content: `${head}  - sql: none.sql\n  - sql: psql.sql\n  - sql: own.sql\n  - run: [./bin/none]\n  - run: [bin/post.sh]\n  - files: nothing\n`,
      },
      { path: 'psql.sql', content: 'SELECT 1;\n\\connect erp\n' },
      {
        path: 'own.sql',
        content: "-- why\nSELECT 'COMMIT;';\n\nCOMMIT;\nCREATE INDEX CONCURRENTLY i ON t (a);\n",
      },
      { path: 'bin/post.sh', content: '#!/bin/sh\n' },
    ]);
    const { ok, problems } = await checkKit(work, signal);
    expect(ok).toBe(false);
    expect(problems.map(showProblem)).toEqual([
      'kit.yaml: step "sql none.sql": the kit holds no file none.sql',
      'psql.sql:2: "\\connect" is a command of psql, not SQL: use a run step for what needs psql',
      'own.sql:4: the step is one transaction already: leave this out, or say transaction: false',
      'own.sql:5: cannot run inside a transaction: say transaction: false for this step',
      'kit.yaml: step "run 4": the kit holds no file ./bin/none',
      'kit.yaml: step "run 5": bin/post.sh may not be executed: run it by sh, or set its mode',
      'kit.yaml: step "files nothing": the kit holds nothing at nothing',
    ]);
  });

  test('is told by clona kit check, with exit 2 and every mistake in one document', async () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [launcher, 'kit', 'check', work, ...args], { encoding: 'utf8' });
    await writeFolder(work, plainKit);
    expect(run('--json')).toMatchObject({ status: 0 });
    expect(JSON.parse(run('--json').stdout)).toMatchObject({
      ok: true,
      name: 'erp',
      version: '2.1',
      files: 5,
    });
    expect(run().stdout).toContain('erp 2.1');
    await writeFile(join(work, 'kit.yaml'), 'name: erp\nversion: "2"\nsteps: [{ sql: a.sql, sqll: b }]\n');
    const refused = run('--json');
    expect(refused.status).toBe(2);
    expect(JSON.parse(refused.stdout)).toMatchObject({
      ok: false,
      name: null,
      problems: [{ file: 'kit.yaml', line: 3 }],
    });
    await rm(join(work, 'kit.yaml'));
    expect(run('--json').status).toBe(2);
    expect(run('--json', '--hash', 'xyz').status).toBe(2);
    expect(run('--json', '--hash', 'a'.repeat(64)).status).toBe(4);
  });
});
