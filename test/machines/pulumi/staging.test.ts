import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, readdir, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import { openGuest } from '../../../src/guest/open.ts';
import { listLocalMachines } from '../../../src/machines/local/local-machines.ts';
import { createStagingDirect, destroyStagingDirect } from '../../../src/machines/pulumi/direct.ts';
import {
  createStaging,
  destroyStaging,
  previewStaging,
  readStaging,
} from '../../../src/machines/pulumi/staging.ts';
import type { StagingOptions } from '../../../src/machines/pulumi/staging-options.ts';
import { createTestMachine, listLeftovers, makeTestFolder, type TestMachine } from '../../support/machine.ts';
import { findTestToolchain, repository } from '../../support/toolchain.ts';

const execute = promisify(execFile);
const { signal } = new AbortController();
const toolchain = await findTestToolchain();
const missing = toolchain === undefined ? ' (Pulumi is not here, set CLONA_TOOLCHAIN)' : '';

let live: TestMachine;
let folder: string;
let options: StagingOptions;
let args: LiveStagingArgs;

beforeAll(async () => {
  live = await createTestMachine({ role: 'live' });
  await using guest = await live.openGuest();
  await guest.writeFile('VERSION', '1.4.2\n', 0o644, signal);
  folder = await makeTestFolder();
  options = { folder, name: 'staging', signal, toolchain };
  args = { platform: 'local', source: 'live', timeToLiveMs: 86_400_000, local: { root: live.root } };
});
afterAll(async () => {
  await live[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe.skipIf(toolchain === undefined)(`a staging machine through the real engine${missing}`, () => {
  test('is a clone that is up, isolated, and ends when it was told to', async () => {
    const { machine, engine, changes } = await createStaging(options, args);
    expect({ engine, changes }).toEqual({ engine: 'pulumi', changes: { create: 3 } });
    expect(machine).toMatchObject({ name: 'staging', role: 'staging', power: 'on' });
    expect(Date.parse(machine.expiresAt ?? '') - Date.parse(machine.createdAt)).toBe(86_400_000);
    await using guest = await openGuest(machine.guest, signal);
    expect(String(await guest.readFile('VERSION', signal))).toBe('1.4.2\n');
    expect(await guest.list(machine.dataDisk, signal)).toEqual([]);
    expect(await readStaging(options)).toEqual(machine);
  });

  test('a second preview and a second run change nothing', async () => {
    expect(await previewStaging(options, args)).toEqual({ same: 3 });
    expect((await createStaging(options, args)).changes).toEqual({ same: 3 });
  });

  test('another end of its life is changed in place', async () => {
    const before = await readStaging(options);
    const longer = { ...args, timeToLiveMs: 2 * 86_400_000, labels: { archive: 'B7' } };
    const { machine, changes } = await createStaging(options, longer);
    expect(changes).toEqual({ same: 2, update: 1 });
    expect(machine.guest.hostKey).toBe(before?.guest.hostKey);
    expect(Date.parse(machine.expiresAt ?? '') - Date.parse(machine.createdAt)).toBe(2 * 86_400_000);
    expect((await createStaging(options, args)).changes).toEqual({ same: 2, update: 1 });
  });

  test('deleted by hand, it is made again', async () => {
    const before = await readStaging(options);
    await rm(join(live.root, 'staging'), { recursive: true });
    const { machine } = await createStaging(options, args);
    expect(machine.guest.hostKey).not.toBe(before?.guest.hostKey);
    await using guest = await openGuest(machine.guest, signal);
    expect((await guest.run(['true'], { signal })).exitCode).toBe(0);
    expect(await previewStaging(options, args)).toEqual({ same: 3 });
  });

  test('a protected machine is not destroyed', async () => {
    await createStaging(options, { ...args, protect: true });
    await expect(destroyStaging(options)).rejects.toMatchObject({
      kind: 'pulumiFailed',
      hint: 'the machine is protected: take the protection away first',
    });
    expect((await live.machines.describe('staging', signal)).power).toBe('on');
    await createStaging(options, args);
  });

  test('mistakes in its settings are all named, and nothing is changed', async () => {
    const wrong = { ...args, source: 'nobody', isolation: 'none' as 'network', expiresAt: 'tomorrow' };
    const error: unknown = await createStaging({ ...options, name: 'wrong' }, wrong).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ kind: 'pulumiFailed', exitCode: 6 });
    const said = JSON.stringify((error as { details: unknown }).details);
    expect(said).toContain('isolation');
    expect(said).toContain('expiresAt');
    expect(await listLeftovers(live.root, 'wrong')).toEqual([]);
    await destroyStaging({ ...options, name: 'wrong' });
  });

  test('a source that is not there is named, and nothing is left', async () => {
    const lost = createStaging({ ...options, name: 'lost' }, { ...args, source: 'nobody' });
    await expect(lost).rejects.toThrow(/CLONA-0501 there is no machine "nobody"/);
    expect(await listLeftovers(live.root, 'lost')).toEqual([]);
    await destroyStaging({ ...options, name: 'lost' });
  });

  test('destroying it leaves no process and no file, twice, and production is untouched', async () => {
    await destroyStaging(options);
    expect(await listLeftovers(live.root, 'staging')).toEqual([]);
    await destroyStaging(options);
    expect((await listLocalMachines({ root: live.root })).map(({ name }) => name)).toEqual(['live']);
    expect(await readStaging(options)).toBeUndefined();
    await destroyStaging(options);
  });

  test('the engine killed in the middle: the lock is explained, then a new run succeeds and leaves one machine', async () => {
    const kill = async (): Promise<void> => {
      for (const pid of await findEngines()) process.kill(pid, 'SIGKILL');
    };
    const onProgress: StagingOptions['onProgress'] = ({ step, state }) => {
      if (step.startsWith('create clona-local:index:Machine') && state === 'started') void kill();
    };
    await expect(createStaging({ ...options, onProgress }, args)).rejects.toMatchObject({
      kind: 'pulumiFailed',
    });
    await expect(createStaging(options, args)).rejects.toMatchObject({
      kind: 'locked',
      exitCode: 7,
      message: expect.stringMatching(
        /the stack "staging" is locked by process \d+ of \S+ on \S+, since \d{4}-/,
      ),
      hint: expect.stringContaining('--break-lock'),
      details: { dead: true },
    });
    const { machine } = await createStaging({ ...options, breakLock: 'dead' }, args);
    expect(machine.power).toBe('on');
    expect(await previewStaging(options, args)).toEqual({ same: 3 });
    expect((await listLocalMachines({ root: live.root })).map(({ name }) => name)).toEqual([
      'live',
      'staging',
    ]);
    await destroyStaging(options);
    expect(await listLeftovers(live.root, 'staging')).toEqual([]);
  });

  test('we ourselves killed in the middle: a run that continues finds one whole machine', async () => {
    const script = `
      import { createStaging } from ${JSON.stringify(join(repository, 'src/machines/pulumi/staging.ts'))};
      const [options, args] = JSON.parse(process.argv[1]);
      await createStaging({ ...options, signal: new AbortController().signal, onProgress: ({ step }) => {
        if (step.startsWith('create clona-local:index:Machine')) process.kill(process.pid, 'SIGKILL');
      } }, args);`;
    const { signal: _signal, ...plain } = options;
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', script, JSON.stringify([plain, args])],
      {
        stdio: 'ignore',
      },
    );
    expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
    const { machine } = await createStaging({ ...options, breakLock: 'dead' }, args);
    await using guest = await openGuest(machine.guest, signal);
    expect((await guest.run(['true'], { signal })).exitCode).toBe(0);
    await destroyStaging(options);
    expect(await listLeftovers(live.root, 'staging')).toEqual([]);
  });

  test('an abort ends the engine, and nothing half-made stays', async () => {
    const stop = new AbortController();
    const making = createStaging(
      {
        ...options,
        name: 'aborted',
        signal: stop.signal,
        onProgress: ({ step, state }) => {
          if (step.startsWith('create clona-local') && state === 'started') stop.abort(new Error('enough'));
        },
      },
      args,
    );
    await expect(making).rejects.toThrow('enough');
    await destroyStaging({ ...options, name: 'aborted', breakLock: 'dead' });
    expect(await listLeftovers(live.root, 'aborted')).toEqual([]);
  });

  test('the passphrase is made once and is ours alone', async () => {
    const path = join(folder, '.clona', 'passphrase');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readFile(path, 'utf8')).length).toBeGreaterThan(40);
  });
});

const cli = toolchain !== undefined && toolchain.languageHost !== null;

describe.skipIf(!cli)('`pulumi up` in this folder (needs pulumi-language-nodejs)', () => {
  /** This repository's own program in a folder of the test's, so that no state or stack file lands here. */
  const project = async (): Promise<string> => {
    const path = join(folder, 'project');
    if (await stat(path).catch(() => undefined)) return path;
    await mkdir(path);
    for (const name of ['infra', 'src', 'node_modules', 'package.json']) {
      await symlink(join(repository, name), join(path, name));
    }
    await copyFile(join(repository, 'Pulumi.yaml'), join(path, 'Pulumi.yaml'));
    return path;
  };
  const run = async (...argv: string[]): Promise<string> => {
    const env = {
      ...process.env,
      PATH: `${join(process.execPath, '..')}:${toolchain?.path ?? ''}`,
      PULUMI_HOME: join(folder, 'home'),
      PULUMI_CONFIG_PASSPHRASE: 'test',
      PULUMI_SKIP_UPDATE_CHECK: 'true',
    };
    const all = ['--non-interactive', '--color', 'never', ...argv];
    const { stdout } = await execute(toolchain?.pulumi ?? '', all, { env, cwd: await project() }).catch(
      (error: { stdout: string; stderr: string }) => {
        throw new Error(`${error.stdout}\n${error.stderr}`);
      },
    );
    return stdout;
  };

  test('makes the machine of the configuration; a second preview shows no change; destroy leaves nothing', async () => {
    await run('stack', 'init', 'cli');
    await run('config', 'set', 'root', live.root);
    await run('config', 'set', 'name', 'by-cli');
    await run('config', 'set', 'timeToLive', '3d');
    expect(await run('up', '--yes')).toContain('3 created');
    expect((await live.machines.describe('by-cli', signal)).power).toBe('on');
    expect(await run('preview')).toContain('3 unchanged');
    expect(await run('stack', 'output', 'machine', '--json')).toContain('"name": "by-cli"');
    await run('destroy', '--yes');
    expect(await listLeftovers(live.root, 'by-cli')).toEqual([]);
  });

  test('says every mistake of the configuration at once', async () => {
    await run('config', 'set', 'rooot', 'x');
    await run('config', 'set', 'timeToLive', '3y');
    await run('config', 'set', 'protect', 'maybe');
    const said = await run('preview').catch(String);
    expect(said).toContain('clona:rooot: unknown key; allowed: platform, name, source');
    expect(said).toContain('clona:timeToLive: a duration');
    expect(said).toContain('clona:protect:');
  });
});

test('without the engine the same functions make and destroy it, marked as direct', async () => {
  const direct = await createStagingDirect('direct', args, signal);
  expect(direct).toMatchObject({ engine: 'direct', changes: { create: 1 }, machine: { power: 'on' } });
  expect((await createStagingDirect('direct', args, signal)).machine.guest.hostKey).toBe(
    direct.machine.guest.hostKey,
  );
  await destroyStagingDirect('direct', args, signal);
  expect(await listLeftovers(live.root, 'direct')).toEqual([]);
});

/** Running engines of this process: `pulumi up …`. */
async function findEngines(): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc').catch(() => [])) {
    const line = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const [, command, parent] = /^\d+ \((.*)\) \S (\d+) /.exec(line) ?? [];
    if (command === 'pulumi' && Number(parent) === process.pid) found.push(Number(name));
  }
  return found;
}
