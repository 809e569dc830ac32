import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openControl, type Control } from '../../src/control/control.ts';
import { acquireSiteLock, isSiteLocked, readLockHolder } from '../../src/control/lock.ts';
import { placeControl } from '../../src/control/place.ts';
import { readServerState, stopServer } from '../../src/databases/postgres/server.ts';

const script = new URL('./hold-control.ts', import.meta.url).pathname;
const signal = new AbortController().signal;
let directory: string;
let dataDir: string;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clona-control-'));
  // The server runs as a user of its own where we are root, and that user has to get there.
  await chmod(directory, 0o711);
  dataDir = join(placeControl(directory).folder, 'data');
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});
afterAll(async () => {
  await stopServer({ dataDir, mode: 'immediate' });
  const { folder, socketDir } = placeControl(directory);
  for (const path of [directory, folder, socketDir]) await rm(path, { recursive: true, force: true });
});

const open = async (): Promise<Control> => openControl({ site: 'erp', directory, signal });

async function holdElsewhere(what = ''): Promise<ChildProcess> {
  const child = spawn(process.execPath, [script, directory, what], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  await said(child, 'open');
  return child;
}

async function said(child: ChildProcess, word: string): Promise<void> {
  for await (const chunk of child.stdout!) if (String(chunk).includes(word)) return;
}

async function leave(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.stdin!.end();
  await ended;
}

describe('the embedded control server', () => {
  test('is made and started once by many at once, and stopped by the last who leaves', async () => {
    const all = await Promise.all([open(), open(), holdElsewhere(), holdElsewhere()]);
    expect((await readServerState(dataDir)).state).toBe('ready');
    await Promise.all([all[0][Symbol.asyncDispose](), leave(all[2])]);
    await leave(all[3]);
    expect((await readServerState(dataDir)).state).toBe('ready');
    await all[1][Symbol.asyncDispose]();
    expect((await readServerState(dataDir)).state).toBe('stopped');
  });

  test('opens again after its users and itself were killed', async () => {
    const child = await holdElsewhere();
    const { pid } = await readServerState(dataDir);
    child.kill('SIGKILL');
    process.kill(pid!, 'SIGKILL');
    await using control = await open();
    expect(await control.session.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('serves those who come while the last is leaving', async () => {
    for (let round = 0; round < 4; round += 1) {
      const leaving = await open();
      const [, control] = await Promise.all([leaving[Symbol.asyncDispose](), open()]);
      expect(await control.session.query('select 1 as one')).toEqual([{ one: 1 }]);
      await control[Symbol.asyncDispose]();
    }
  });
});

describe('the lock on a site', () => {
  test('keeps a second run out and names the first', async () => {
    const child = await holdElsewhere('refresh');
    await using control = await open();
    expect(await isSiteLocked(control)).toBe(true);
    await expect(acquireSiteLock(control, { who: 'ben', what: 'promote' }, new Date())).rejects.toMatchObject(
      {
        kind: 'locked',
        exitCode: 7,
        details: { who: 'dora', what: 'refresh', pid: child.pid },
      },
    );
    await leave(child);
    expect(await isSiteLocked(control)).toBe(false);
    expect(await readLockHolder(control)).toBeNull();
  });

  test('of an owner who was killed goes to the next, and to one only', async () => {
    const child = await holdElsewhere('refresh');
    await using control = await open();
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    await expect.poll(async () => isSiteLocked(control)).toBe(false);
    expect(await readLockHolder(control)).toMatchObject({ who: 'dora' });
    const takers = await Promise.allSettled(
      ['a', 'b', 'c'].map(async (who) => acquireSiteLock(control, { who, what: 'refresh' }, new Date())),
    );
    const won = takers.filter((taker) => taker.status === 'fulfilled');
    expect(won).toHaveLength(1);
    expect(await readLockHolder(control)).not.toMatchObject({ who: 'dora' });
    await won[0]!.value[Symbol.asyncDispose]();
  });

  test('tells its owner when it is lost', async () => {
    await using control = await open();
    await using lock = await acquireSiteLock(control, { who: 'dora', what: 'refresh' }, new Date());
    await control.session.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'clona refresh'",
    );
    await expect.poll(() => lock.lost.aborted).toBe(true);
  });
});
