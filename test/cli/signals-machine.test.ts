import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createLiveSite, type LiveSite } from '../pipeline/local/live-machine.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));

/** Processes of this host that work in a folder or name it. */
async function processesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    if (cwd.startsWith(folder) || command.includes(folder)) found.push(`${pid}: ${command}`);
  }
  return found;
}

async function terminate(
  args: readonly string[],
  folder: string,
  isTime: (said: string) => Promise<boolean>,
): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const closed = once(child, 'close') as Promise<[number | null]>;
  await vi.waitFor(
    async () => {
      if (child.exitCode === null) expect(await isTime(said)).toBe(true);
    },
    { timeout: 120_000, interval: 5 },
  );
  child.kill('SIGTERM');
  const [status] = await closed;
  return { status, said };
}

describe('SIGTERM on a site with a local machine', () => {
  let live: LiveSite;

  beforeAll(async () => {
    live = await createLiveSite();
  }, 180_000);
  afterAll(async () => live?.[Symbol.asyncDispose]());

  const rows = async (): Promise<unknown> => {
    await using session = await live.session();
    return await session.query('select count(*)::int as n from orders');
  };

  test('a cold backup of the machine is taken through it, and its database runs again', async () => {
    const label = `cold-${Date.now()}`;
    const args = ['backup', '--kind', 'cold', '--yes', '--label', label, '--json'];
    const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
      cwd: live.folder,
      encoding: 'utf8',
    });
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      label,
      kind: 'cold',
      database: 'erp',
      archivedTo: expect.any(String),
    });
    expect(await rows()).toEqual([{ n: 1000 }]);
  }, 180_000);

  test('in a cold backup of the machine: 143, no backup more, the database runs', async () => {
    const backups = join(live.folder, 'archive', 'backups');
    const before = await readdir(backups).catch(() => []);
    const label = `cut-${Date.now()}`;
    const args = ['backup', '--kind', 'cold', '--yes', '--label', label, '--level', '19', '--workers', '1'];
    const { status } = await terminate(args, live.folder, async () =>
      stat(join(backups, `.${label}.partial`, 'base.tar.zst')).then(
        () => true,
        () => false,
      ),
    );
    expect(status).toBe(143);
    expect(await readdir(backups)).toEqual(before);
    expect(await rows()).toEqual([{ n: 1000 }]);
  }, 180_000);

  test('in smoke tests: 143, and none of them goes on', async () => {
    const tests = join(live.folder, 'slow');
    const mark = join(live.folder, 'slow-runs');
    await rm(mark, { force: true });
    await mkdir(tests, { recursive: true });
    await writeFile(
      join(tests, 'slow.smoke.ts'),
      `import { writeFileSync } from 'node:fs';
import { test } from 'vitest';
test('never ends', async () => { writeFileSync(${JSON.stringify(mark)}, ''); await new Promise((resolve) => setTimeout(resolve, 600_000)); }, 700_000);
`,
    );
    const { status } = await terminate(
      ['smoke', '--machine', 'live', '--directory', tests],
      live.folder,
      async () =>
        stat(mark).then(
          () => true,
          () => false,
        ),
    );
    expect(status).toBe(143);
    await vi.waitFor(
      async () =>
        expect((await processesIn(live.folder)).filter((line) => /vitest|smoke/.test(line))).toEqual([]),
      { timeout: 30_000 },
    );
  }, 180_000);
});

describe('SIGTERM in the demo', () => {
  test.each([/… .*production/i, /… .*(staging|clone|refresh)/i])(
    'in the act %s: 143, no machine, no file, no process is left',
    async (act) => {
      const folder = await mkdtemp(join(tmpdir(), 'clona-demo-cut-'));
      await chmod(folder, 0o711);
      try {
        const { status, said } = await terminate(['demo', '--engine', 'direct'], folder, async (text) =>
          act.test(text),
        );
        expect({ status, said: status === 143 ? '' : said }).toEqual({ status: 143, said: '' });
        await vi.waitFor(async () => expect(await processesIn(folder)).toEqual([]), { timeout: 30_000 });
        expect((await readdir(folder)).filter((name) => name.startsWith('clona-demo-'))).toEqual([]);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    180_000,
  );
});
