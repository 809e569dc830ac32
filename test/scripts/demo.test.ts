import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findEngine } from '../../scripts/demo/engine.ts';
import { tellRelease, summarize, type DemoReport } from '../../scripts/demo/report.ts';
import { openStages } from '../../scripts/demo/stages.ts';
import { requireVsphereTools } from '../../scripts/demo/vsphere/tools.ts';
import { findToolchain } from '../../src/machines/pulumi/toolchain.ts';

test('without any way to an engine the demo says so in one sentence with the ways out, and goes on by itself', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'clona-no-engine-'));
  const said: string[] = [];
  const stages = openStages(() => {});
  const find = async () =>
    findToolchain({ folder, env: { PATH: folder }, mayInstall: false, signal: AbortSignal.timeout(20_000) });
  expect(await findEngine(find, stages, (line) => said.push(line))).toBe('direct');
  expect(said).toHaveLength(1);
  expect(said[0]).toContain('engine: direct');
  expect(said[0]).toContain('CLONA_TOOLCHAIN');
  expect(stages.list).toEqual([]);
  await rm(folder, { recursive: true });
});

test('without the programs of a simulated vCenter the demo on vSphere says in one sentence which are missing', async () => {
  const find = (program: string) => (program === 'govc' ? '/usr/bin' : undefined);
  await expect(requireVsphereTools(find)).rejects.toMatchObject({
    kind: 'toolchainMissing',
    message: expect.stringContaining('cannot be played here: pulumi-resource-vsphere, vcsim'),
    hint: expect.stringContaining('CLONA_TOOLCHAIN'),
  });
});

test('an act that fails is told with its error, and ends the story', async () => {
  const said: string[] = [];
  const stages = openStages((line) => said.push(line));
  const failing = stages.run('an act', async () => {
    throw new Error('it broke');
  });
  await expect(failing).rejects.toThrow('it broke');
  expect(stages.list).toEqual([{ name: 'an act', state: 'failed', seconds: expect.any(Number) }]);
  expect(said.at(-1)).toContain('it broke');
});

test('a closed gate is told with every condition that closed it', () => {
  const condition = {
    name: 'smokePassed' as const,
    rules: ['R18'],
    due: 'promotion' as const,
    remedy: 'mend it',
  };
  const gate = {
    open: false,
    later: [],
    conditions: [{ ...condition, open: false, reason: 'two tests failed' }],
  };
  const told = tellRelease({ version: '2.0', hash: 'abc' }, gate, { promoted: false, rolledBack: false });
  expect(told).toMatchObject({ kit: '2.0', gate: 'closed', reasons: ['smokePassed: two tests failed'] });
});

test('the summary says what is not as it should be', () => {
  const report: DemoReport = {
    ok: false,
    seconds: 1,
    platform: 'local',
    database: 'postgres',
    engine: 'direct',
    stages: [],
    backup: null,
    production: { versionBefore: '1.9', versionAfter: '1.9', ordersCommitted: 2, ordersFound: 1 },
    releases: [],
    evidence: null,
    disaster: null,
    problems: ['a confirmed order is missing in production'],
  };
  const text = summarize(report, null);
  expect(text).toContain('Not as it should be: a confirmed order is missing in production');
  expect(text).toContain('1 of 2 confirmed orders');
});
