import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openHistory } from '../../src/serve/history.ts';
import { systemClock, type Clock } from '../../src/serve/scheduler.ts';
import { serve } from '../../src/serve/serve.ts';
import { loadSite } from '../../src/site/load.ts';
import type { Job } from '../../src/schedule/jobs.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
const nightly: Job = { name: 'backup', cron: '0 1 * * *', zone: 'UTC', args: ['backup', '--yes'] };
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-serve-'));
  vi.stubEnv('CLONA_TEST_TOKEN', 'correct horse');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** Stands for the clona command: says what it was called with, and ends with the code its kit names. */
const standIn = `
import { appendFileSync } from 'node:fs';
const args = process.argv.slice(2);
appendFileSync('calls', JSON.stringify(args) + '\\n');
const code = Number(args.join(' ').match(/exit-(\\d+)/)?.[1] ?? 0);
if (args.some((word) => word.includes('forever'))) {
  process.on('SIGTERM', () => { appendFileSync('calls', '"stopped"\\n'); process.exit(143); });
  setInterval(() => {}, 1000);
} else { console.log(JSON.stringify({ called: args[0] })); process.exitCode = code; }
`;

async function start(extra = '', jobs: readonly Job[] = [], clock: Clock = systemClock) {
  await writeFile(join(folder, 'stand-in.mjs'), standIn);
  await writeFile(
    join(folder, 'clona.yaml'),
    `name: erp\narchive: { location: a }\nserve: { listen: '127.0.0.1:0', token: env:CLONA_TEST_TOKEN }\n${extra}`,
  );
  const site = await loadSite(join(folder, 'clona.yaml'));
  const stop = new AbortController();
  const notes: string[] = [];
  const listening = Promise.withResolvers<number>();
  const done = serve({
    site,
    jobs,
    caller: { command: [process.execPath, join(folder, 'stand-in.mjs')], siteFile: site.file, folder },
    clock,
    signal: stop.signal,
    note: (line) => notes.push(line),
    onListening: ({ port }) => listening.resolve(port),
  });
  const port = await Promise.race([listening.promise, done.then(() => 0)]);
  const request = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${port}${path}`, init);
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    request('/releases', {
      method: 'POST',
      headers: { authorization: 'Bearer correct horse', 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  return {
    request,
    post,
    notes,
    calls: async () =>
      (await readFile(join(folder, 'calls'), 'utf8').catch(() => ''))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as unknown),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  };
}

/** A clock that comes to the first time waited for at once, and stands still from then on. */
function oneNight(): Clock {
  let now = new Date('2025-03-01T00:00:00Z');
  return {
    now: () => now,
    waitUntil: async (at, signal) => {
      if (now.getUTCHours() === 0) now = at;
      else if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  };
}

async function until<Value>(look: () => Promise<Value>, wanted: (value: Value) => boolean): Promise<Value> {
  return vi.waitFor(
    async () => {
      const value = await look();
      if (!wanted(value)) throw new Error(`not yet: ${JSON.stringify(value)}`);
      return value;
    },
    { timeout: 20_000, interval: 20 },
  );
}

const get = async (served: Awaited<ReturnType<typeof start>>, href: string) =>
  (await (await served.request(href, { headers: { authorization: 'Bearer correct horse' } })).json()) as {
    state: string;
    outcome: { exitCode: number; answer: unknown } | null;
  };

describe('clona serve', () => {
  test('takes a release with the token, runs the verb, and tells what became of it', async () => {
    await using served = await start();
    const response = await served.post({ kit: 'kits/2.1', sha256: 'a'.repeat(64) });
    expect(response.status).toBe(202);
    const { href } = (await response.json()) as { href: string };
    const record = await until(
      () => get(served, href),
      ({ state }) => state === 'done',
    );
    expect(record.outcome).toMatchObject({ exitCode: 0, answer: { called: 'release' } });
    expect(await served.calls()).toEqual([
      [
        'release',
        '--kit=kits/2.1',
        `--hash=${'a'.repeat(64)}`,
        '--yes',
        '--site',
        join(folder, 'clona.yaml'),
        '--json',
      ],
    ]);
  });

  test('runs one release after the other, and keeps the exit code of one that failed', async () => {
    await using served = await start();
    const hrefs = await Promise.all(
      ['a', 'exit-4', 'c'].map(
        async (kit) => ((await (await served.post({ kit })).json()) as { href: string }).href,
      ),
    );
    await until(
      () => Promise.all(hrefs.map((href) => get(served, href))),
      (records) => records.every(({ state }) => state === 'done' || state === 'failed'),
    );
    expect((await get(served, hrefs[1] ?? '')).outcome).toMatchObject({ exitCode: 4 });
    expect(await served.calls()).toHaveLength(3);
    expect((await served.request('/healthz')).status).toBe(200);
  });

  test.each([
    ['no token', { authorization: '' }, { kit: 'a' }, 401],
    ['a wrong token', { authorization: 'Bearer wrong' }, { kit: 'a' }, 401],
    ['no JSON', {}, '{', 400],
    ['another type', { 'content-type': 'text/plain' }, { kit: 'a' }, 415],
    ['no kit', {}, {}, 400],
    ['an unknown key', {}, { kit: 'a', force: true }, 400],
    ['a hash that is none', {}, { kit: 'a', sha256: 'x' }, 400],
    ['too much', {}, { kit: 'a'.repeat(20_000) }, 413],
  ])('refuses a request with %s, and starts nothing', async (_, headers, body, status) => {
    await using served = await start();
    expect((await served.post(body, headers)).status).toBe(status);
    expect(await served.calls()).toEqual([]);
  });

  test('has a kit that looks like an option passed as a kit', async () => {
    await using served = await start();
    await served.post({ kit: '--yes --site /etc/passwd' });
    const [call] = await until(served.calls, (calls) => calls.length === 1);
    expect(call).toContain('--kit=--yes --site /etc/passwd');
  });

  test('shows nothing but its health without a token, and no trigger when none is set', async () => {
    await using served = await start();
    expect((await served.request('/releases/x')).status).toBe(401);
    expect((await served.request('/etc/passwd')).status).toBe(404);
    expect((await served.request('/healthz', { method: 'POST' })).status).toBe(405);
    const known = { headers: { authorization: 'Bearer correct horse' } };
    expect((await served.request('/releases/..%2f..%2fclona', known)).status).toBe(404);
    const health: unknown = await (await served.request('/healthz')).json();
    expect(health).toMatchObject({ ok: true, site: 'erp', last: {} });
  });

  test('asks what runs to stop when it ends itself, waits for it, and begins what waited at its next start', async () => {
    {
      await using served = await start();
      await served.post({ kit: 'forever' });
      await served.post({ kit: 'next' });
      await until(served.calls, (calls) => calls.length === 1);
    }
    expect(await readFile(join(folder, 'calls'), 'utf8')).toContain('"stopped"');
    const history = await openHistory(join(folder, '.clona/serve'));
    expect((await history.listOpen()).map(({ request }) => request.kit)).toEqual(['next']);
    await using again = await start();
    await until(again.calls, (calls) => JSON.stringify(calls).includes('--kit=next'));
  });

  test('tells a webhook and a command when the backup of the night fails', async () => {
    const got: unknown[] = [];
    const hook = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        got.push(JSON.parse(body));
        response.end();
      });
    });
    await new Promise<void>((resolve) => void hook.listen(0, '127.0.0.1', resolve));
    const address = hook.address();
    vi.stubEnv('CLONA_TEST_HOOK', `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`);
    const notify = `notify:
  - webhook: env:CLONA_TEST_HOOK
  - run: cat >> told
  - { run: 'false' }
  - { on: [promoted], run: cat >> silent }
`;
    {
      await using served = await start(notify, [{ ...nightly, args: ['backup', '--exit-6'] }], oneNight());
      const told = async () => readFile(join(folder, 'told'), 'utf8').catch(() => '');
      await until(told, (text) => text.includes('backupFailed') && got.length > 0);
      await until(
        async () => served.notes.join(),
        (notes) => notes.includes('notify[2] did not get "backupFailed"'),
      );
      expect((await served.request('/healthz')).status).toBe(503);
    }
    await new Promise((resolve) => void hook.close(resolve));
    expect(got[0]).toMatchObject({
      event: 'backupFailed',
      site: 'erp',
      text: expect.stringContaining('exit code 6'),
    });
    await expect(readFile(join(folder, 'silent'))).rejects.toThrow('ENOENT');
  });
});

describe('the verb serve', () => {
  test('listens, and ends with 143 at SIGTERM', async () => {
    await writeFile(
      join(folder, 'clona.yaml'),
      "name: erp\narchive: { location: a }\nserve: { listen: '127.0.0.1:0' }\n",
    );
    const child = spawn(process.execPath, [launcher, 'serve'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until(
      async () => said,
      (text) => text.includes('listens on'),
    );
    const port = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1] ?? '';
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/releases`, { method: 'POST' })).status).toBe(404);
    child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([143, null]);
    expect(said).toContain('[CLONA-0003]');
  });
});
