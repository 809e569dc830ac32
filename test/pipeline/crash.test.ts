import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLines, writeExport } from '../../src/control/ledger-export.ts';
import type { LedgerRecord } from '../../src/control/ledger-record.ts';
import { verifyExport } from '../../src/control/ledger-verify.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';
import { createFileOperations, type World } from './file-operations.ts';
import { openTestContext } from './test-context.ts';

const script = new URL('./story.ts', import.meta.url).pathname;
let cluster: TestCluster;
let root: string;
let undisturbed: Played;

interface Played {
  world: World;
  records: LedgerRecord[];
  kills: string[];
  verified: boolean;
}

beforeAll(async () => {
  cluster = await createTestCluster();
  root = await mkdtemp(join(tmpdir(), 'clona-crash-'));
  undisturbed = await play('undisturbed');
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

/** Plays the story, starting it again after each kill, until it ends by itself. */
async function play(site: string, kills?: string, killAfterRecord = false): Promise<Played> {
  const folder = join(root, site);
  const order = JSON.stringify({ folder, address: cluster.address, site, killAfterRecord });
  for (let start = 0; start < 200; start += 1) {
    const env = { ...process.env, ...(kills === undefined ? {} : { CLONA_KILLS: kills }) };
    const child = spawn(process.execPath, [script, order], { env, stdio: ['ignore', 'inherit', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => (said += String(chunk)));
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (code === 0) return readPlayed(site, folder);
    if (signal !== 'SIGKILL') throw new Error(`the story ended with ${code ?? signal}: ${said}`);
  }
  throw new Error('the story never ended');
}

async function readPlayed(site: string, folder: string): Promise<Played> {
  const operations = createFileOperations(folder);
  await using context = await openTestContext({ site, folder, address: cluster.address, operations });
  const path = join(folder, 'evidence.jsonl');
  await writeExport(path, context.ledger.read(), await context.ledger.head(), context.signal);
  const { ok } = await verifyExport(readLines(path, context.signal));
  const kills = await readFile(join(folder, 'kills.txt'), 'utf8').catch(() => '');
  return {
    world: operations.read(),
    records: await context.ledger.list(),
    kills: kills.split('\n').filter((line) => line !== ''),
    verified: ok,
  };
}

/** The steps that are facts, by run and kind, without what a clock or a random number put into them. */
function factsOf({ records }: Played): string[] {
  const counted = records.filter(({ kind }) => kind !== 'gate.decided' && kind !== 'signoff.given');
  return counted.map(({ kind, run }) => `${run?.replaceAll(/-[0-9a-f-]+$/g, '') ?? ''} ${kind}`);
}

function withoutIds(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll(/-\d{8}-\d{6}-[0-9a-f]{4}/g, ''));
}

const long = process.env['CLONA_LONG_TESTS'] !== undefined;

describe('killed -9 once in every step, and started again each time', () => {
  test('after the effect, before anybody knows of it: no effect is doubled, none is missing', async () => {
    const played = await play('killed-after', 'after');
    expect(played.kills.length).toBeGreaterThan(25);
    expectUnharmed(played);
  }, 300_000);

  // Each takes another minute or two: with CLONA_LONG_TESTS=1.
  test.skipIf(!long)(
    'before the effect: no effect is doubled, none is missing',
    async () => {
      const played = await play('killed-before', 'before');
      expect(played.kills.length).toBeGreaterThan(25);
      expectUnharmed(played);
    },
    300_000,
  );

  test.skipIf(!long)(
    'after the ledger has it, before the workflow does: nothing doubled or missing',
    async () => {
      const played = await play('killed-recorded', 'after', true);
      expect(played.kills.length).toBeGreaterThan(25);
      expectUnharmed(played);
    },
    300_000,
  );
});

function expectUnharmed(played: Played): void {
  expect(played.world.effects).toEqual(undisturbed.world.effects);
  expect(withoutIds(played.world.machines)).toEqual(withoutIds(undisturbed.world.machines));
  expect(played.world.isOpenForUsers).toBe(true);
  expect(factsOf(played)).toEqual(factsOf(undisturbed));
  const keys = played.records.map(({ key }) => key).filter((key) => key !== null);
  expect(new Set(keys).size).toBe(keys.length);
  expect(played.verified).toBe(true);
}
