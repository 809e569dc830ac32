#!/usr/bin/env node
// npm run test:crash [-- ROUNDS [SEED]]: the whole story with real machines, killed with -9 again and again.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '../src/databases/postgres/connect.ts';
import { findTrial, removeTrial, startTrial } from './demo/try.ts';

/**
 * Every round plays refresh, release, confirmation, promote and rollback on a sample site. Each verb is killed with -9
 * at a random place, with all its children left to themselves, and called again; after each round LIVE must be where it was:
 * version, rows, one more incarnation, evidence that verifies. Prints where it was killed and what came of it.
 */
const rounds = Number(process.argv[2] ?? 10);
const seed = Number(process.argv[3] ?? Date.now() % 100_000);
const launcher = fileURLToPath(new URL('../bin/clona.js', import.meta.url));
const signal = AbortSignal.timeout(4 * 3_600_000);
/** Lines of progress that each verb has printed at most so far: where a kill can be aimed. */
const seenLines: Record<string, number> = { refresh: 45, release: 35, promote: 35, rollback: 9 };

let state = seed;
function random(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
  return (state >>> 8) % below;
}

interface Ended {
  code: number | null;
  lines: number;
  last: string;
  json: Record<string, unknown>;
}

async function clona(
  folder: string,
  args: readonly string[],
  killAtLine?: number,
  delayMs = 0,
): Promise<Ended> {
  const child = spawn(process.execPath, [launcher, ...args, '--json'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let lines = 0;
  let last = '';
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines += 1;
    if (killAtLine === undefined || lines <= killAtLine) last = line.trim();
    if (lines === killAtLine) void wait(delayMs).then(() => child.kill('SIGKILL'));
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, lines, last, json: parse(out) };
}

function parse(text: string): Record<string, unknown> {
  try {
    // One JSON object: the contract of every verb; a killed one printed none.
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Kills the verb, then calls it again until it ends as it should. */
async function survive(folder: string, args: readonly string[]): Promise<Ended> {
  const verb = args[0] ?? '';
  const line = 1 + random(seenLines[verb] ?? 20);
  const delayMs = random(250);
  const first = await clona(folder, args, line, delayMs);
  const where =
    first.code === null ? `line ${line} + ${delayMs} ms: ${first.last}` : 'not killed: it had ended';
  if (first.code !== null) {
    console.log(`  ${verb}  ${where}  → exit ${first.code}`);
    return first;
  }
  const again = await clona(folder, args);
  console.log(`  ${verb}  killed at ${where}  → exit ${again.code}`);
  return again;
}

async function rowsOf(address: Parameters<typeof connect>[0]): Promise<number> {
  await using session = await connect(address, signal);
  const [row] = await session.query<{ rows: string }>(
    'select (select count(*) from erp.sales_order) + (select count(*) from erp.journal_line) as rows',
  );
  return Number(row?.rows);
}

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

async function round(
  folder: string,
  live: { systemDisk: string; rows: number; address: Parameters<typeof connect>[0] },
): Promise<void> {
  must((await survive(folder, ['refresh', '--yes'])).code === 0, 'refresh did not end well');
  const released = await survive(folder, ['release', '--kit', 'kits/2.1', '--yes']);
  must(
    released.code === 0,
    `release ended with ${released.code}: ${JSON.stringify(released.json).slice(0, 600)}`,
  );
  must((await clona(folder, ['signoff', '--checklist', '--as', 'dba'])).code === 0, 'no checklist');
  for (const [department, by] of [
    ['accounting', 'amra'],
    ['warehouse', 'dino'],
    ['payroll', 'petar'],
    ['sales', 'sanja'],
  ] as const) {
    const signed = await clona(folder, ['signoff', '--department', department, '--as', by, '--confirm']);
    must(signed.code === 0, `${department}: ${JSON.stringify(signed.json)}`);
  }
  const promoted = await survive(folder, ['promote', '--yes']);
  const version = async (): Promise<string> =>
    (await readFile(join(live.systemDisk, 'VERSION'), 'utf8')).trim();
  must(
    promoted.code === 0,
    `promote ended with ${promoted.code}: ${JSON.stringify(promoted.json).slice(0, 900)}`,
  );
  must((await version()) === '2.1', `promoted, but version ${await version()}`);
  const position = JSON.stringify(promoted.json).match(/"position":"(\d+)"/)?.[1] ?? '';
  const back = await survive(folder, ['rollback', '--lose-changes-since', position, '--yes']);
  must(back.code === 0, `rollback ended with ${back.code}: ${JSON.stringify(back.json).slice(0, 900)}`);
  must((await version()) === '1.9', `rolled back, but version ${await version()}`);
  const rows = await rowsOf(live.address);
  must(rows === live.rows, `${rows} rows instead of ${live.rows}`);
  const exported = join(folder, 'evidence.jsonl');
  must((await clona(folder, ['evidence', 'export', exported])).code === 0, 'no evidence');
  must((await clona(folder, ['evidence', 'verify', exported])).code === 0, 'the evidence does not verify');
}

const folder = await mkdtemp(join(tmpdir(), 'clona-crash-'));
await rm(folder, { recursive: true });
console.log(`${rounds} rounds, seed ${seed}, in ${folder}`);
const { production } = await startTrial(folder, signal);
const live = {
  systemDisk: production.facts.systemDisk,
  address: production.address,
  rows: await rowsOf(production.address),
};
try {
  for (let index = 0; index < rounds; index += 1) {
    const startedAt = performance.now();
    console.log(`round ${index + 1}`);
    await round(folder, live);
    console.log(`  as it should be, ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  }
  await removeTrial(await findTrial(folder), signal);
} catch (error) {
  console.log(
    `FAILED (left to look at: ${folder}): ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exitCode = 1;
}
