import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askQuestions } from '../../src/cli/init/questions.ts';
import { loadSite } from '../../src/site/load.ts';
import { defaultAnswers } from '../../src/site/template.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-init-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function init(...args: string[]) {
  return spawnSync(process.execPath, [launcher, 'init', ...args], { cwd: folder, encoding: 'utf8' });
}

describe('clona init', () => {
  test('--yes writes a site file that loads, named after its folder or as told', async () => {
    const { status, stdout } = init('--yes', '--name', 'shop', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      site: join(folder, 'clona.yaml'),
      files: expect.arrayContaining([{ path: 'clona.yaml', state: 'written' }]),
    });
    expect(await loadSite(join(folder, 'clona.yaml'))).toMatchObject({ name: 'shop', folder });
    expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('--from-example erp writes a site with departments and counts', async () => {
    expect(init('--from-example', 'erp').status).toBe(0);
    const site = await loadSite(join(folder, 'clona.yaml'));
    expect(site.departments.map(({ name }) => name)).toContain('accounting');
    expect(site.database.businessCounts.length).toBeGreaterThan(0);
    expect(site.staging.fence.map(({ name }) => name)).toContain('e-invoicing');
    const kit = ['kits', '2.1', 'program', 'bin', 'erp'];
    expect((await stat(join(folder, ...kit))).mode & 0o100).not.toBe(0);
  });

  test('--from-example takes the name, the machine and the archive that are given', async () => {
    expect(
      init('--from-example', 'erp', '--name', 'shop', '--live', 'big', '--archive', '/mnt/a').status,
    ).toBe(0);
    const site = await loadSite(join(folder, 'clona.yaml'));
    expect(site).toMatchObject({
      name: 'shop',
      machines: { live: { name: 'big' } },
      archive: { location: '/mnt/a' },
    });
    expect(await readFile(join(folder, 'clona.yaml'), 'utf8')).toContain('# Grade 5: these numbers');
  });

  test('leaves a site file that exists as it is, --yes or not, and says the ways out', async () => {
    await writeFile(join(folder, 'clona.yaml'), 'mine\n');
    for (const args of [['--yes'], [], ['--from-example', 'erp']]) {
      const { status, stderr } = init(...args);
      expect(status).toBe(2);
      expect(stderr).toContain('[CLONA-0120]');
      expect(stderr).toContain('--overwrite');
    }
    expect(await readFile(join(folder, 'clona.yaml'), 'utf8')).toBe('mine\n');
    expect(init('--yes', '--overwrite').status).toBe(0);
    expect(await readFile(join(folder, 'clona.yaml'), 'utf8')).not.toBe('mine\n');
  });

  test('without a terminal and without --yes it writes nothing and says why', async () => {
    const { status, stderr } = init();
    expect(status).toBe(2);
    expect(stderr).toContain('there is nobody to ask');
    expect(await readdir(folder)).toEqual([]);
  });

  test('refuses a name that could be no machine, and an example that is none', () => {
    expect(init('--yes', '--name', '../etc').status).toBe(2);
    expect(init('--from-example', 'constructor').stderr).toContain('examples: erp');
  });
});

describe('the questions', () => {
  /** A terminal at which someone answers each question as it appears. */
  function typing(answers: readonly string[]) {
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => input });
    const output = Object.assign(new PassThrough(), { isTTY: true, columns: 200, rows: 40 });
    const left = [...answers];
    let asked = '';
    output.on('data', (chunk: Buffer) => {
      asked += chunk.toString();
      if (!asked.includes('?')) return;
      asked = '';
      const answer = left.shift();
      if (answer !== undefined) setImmediate(() => input.write(answer));
    });
    return { input, output };
  }

  test('take what is typed, and the proposal for an empty answer', async () => {
    const signal = new AbortController().signal;
    const io = typing([
      'shop\r',
      '\r',
      'big-erp\r',
      '\r',
      'SHOP_URL\r',
      '/mnt/archive\r',
      '\r',
      'Human Resources, računovodstvo\r',
    ]);
    expect(await askQuestions(defaultAnswers, { ...io, signal })).toMatchObject({
      name: 'shop',
      platform: 'local',
      live: 'big-erp',
      databaseUrl: 'env:SHOP_URL',
      archive: '/mnt/archive',
      mirror: undefined,
      departments: [{ name: 'Human Resources' }, { name: 'računovodstvo' }],
    });
  });

  test('end at Ctrl-C with the code of an interruption, and at the signal with its reason', async () => {
    const signal = new AbortController().signal;
    await expect(askQuestions(defaultAnswers, { ...typing(['\u0003']), signal })).rejects.toMatchObject({
      exitCode: 130,
    });
    const reason = new Error('terminated');
    await expect(
      askQuestions(defaultAnswers, { ...typing([]), signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
  });
});
