import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { placeControl } from '../../src/control/place.ts';
import { stopServer } from '../../src/databases/postgres/server.ts';
import { hashKit } from '../../src/kit/hash.ts';
import { repository } from '../support/toolchain.ts';
import {
  createVsphereWorld,
  whyNoVsphereWorld,
  writeKit,
  type VsphereWorld,
} from '../support/vsphere-world.ts';

interface Step {
  name?: string;
  if?: string;
  run?: string;
  env?: Record<string, string>;
  uses?: string;
  with?: { path: string };
}

interface Workflow {
  env: Record<string, string>;
  jobs: Record<string, { steps: Step[] }>;
}

const missing = await whyNoVsphereWorld();
const live = 'DC0_H0_VM0';

/** Plays the shell steps of one job as GitHub's runner does: `bash -e`, and after a failure only what is for always. */
async function playJob(
  workflow: Workflow,
  job: string,
  inputs: Record<string, string>,
  env: NodeJS.ProcessEnv,
  workspace: string,
): Promise<{ said: string[]; failed: string[]; artifacts: string[] }> {
  await mkdir(workspace);
  const played = { said: [] as string[], failed: [] as string[], artifacts: [] as string[] };
  for (const step of workflow.jobs[job]?.steps ?? []) {
    if (step.uses !== undefined) played.artifacts.push(...(step.with?.path ?? '').trim().split('\n'));
    if (step.run === undefined || (played.failed.length > 0 && step.if !== 'always()')) continue;
    const own = Object.entries(step.env ?? {}).map(([key, value]) => [key, fill(value, inputs)]);
    const script = join(workspace, '..', `${job}.sh`);
    await writeFile(script, fill(step.run, inputs));
    const { code, said } = await run(script, { ...env, ...Object.fromEntries(own) }, workspace);
    played.said.push(said);
    if (code !== 0) played.failed.push(`${step.name ?? step.run}: exit ${code}`);
  }
  return played;
}

function fill(text: string, inputs: Record<string, string>): string {
  return text.replaceAll(/\$\{\{ inputs\.(\w+) \}\}/g, (_, name: string) => inputs[name] ?? '');
}

async function run(
  script: string,
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<{ code: number | null; said: string }> {
  const child = spawn('bash', ['--noprofile', '--norc', '-e', script], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, said };
}

async function json(...path: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(...path), 'utf8')) as Record<string, unknown>;
}

/** `clona` as an installed package puts it on PATH. */
async function installCommand({ folder, sitePath }: VsphereWorld): Promise<NodeJS.ProcessEnv> {
  const bin = join(folder, 'bin');
  await mkdir(bin);
  const launcher = `#!/bin/sh\nexec "${process.execPath}" "${join(repository, 'bin/clona.js')}" "$@"\n`;
  await writeFile(join(bin, 'clona'), launcher);
  await chmod(join(bin, 'clona'), 0o755);
  return { ...process.env, PATH: `${bin}:${process.env['PATH']}`, SITE: sitePath };
}

describe.skipIf(missing !== undefined)(
  `the pipeline for GitHub on vSphere${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    // One test: each job stands on the one before it.
    test(
      'brings a kit to staging, stops at the gate without a word, and promotes it with one',
      { timeout: 300_000 },
      async () => {
        await using world = await createVsphereWorld();
        await using _control = stopControlLater(world);
        const text = await readFile(join(repository, 'examples/pipelines/github-actions.yml'), 'utf8');
        const workflow = parse(text) as Workflow;
        const env = await installCommand(world);
        const kit = await writeKit(world);
        const { hash } = await hashKit(kit, new AbortController().signal);
        const play = async (job: string, folder: string) =>
          playJob(workflow, job, { kit, sha256: hash }, env, join(world.folder, folder));

        const staging = await play('staging', 'staging');
        expect(staging).toMatchObject({ failed: [] });
        expect(await json(world.folder, 'staging/refresh.json')).toMatchObject({ ok: true, grade: 5 });
        for (const artifact of staging.artifacts) await stat(join(world.folder, 'staging', artifact));
        expect(await readFile(join(world.folder, 'staging/smoke.xml'), 'utf8')).toContain('<testsuite');

        const early = await play('live', 'early');
        expect(early.failed).toEqual(['promote: exit 3']);
        // What is for always ran all the same.
        await stat(join(world.folder, 'early/evidence.jsonl'));
        expect(JSON.stringify(await json(world.folder, 'early/promote.json'))).toContain('accounting');

        const signoff = join(world.folder, 'signoff.sh');
        await writeFile(
          signoff,
          'clona signoff --site "$SITE" --department accounting --as anna --confirm --yes --json\n',
        );
        expect(await run(signoff, env, world.folder)).toMatchObject({ code: 0 });
        const done = await play('live', 'live');
        expect(done).toMatchObject({ failed: [] });
        for (const artifact of done.artifacts) await stat(join(world.folder, 'live', artifact));
        expect(await json(world.folder, 'live/promote.json')).toMatchObject({ outcome: 'promoted' });
        await using session = await world.session();
        expect(
          await session.query(
            "select count(*)::int as n from information_schema.columns where column_name = 'note' and table_name = 'orders'",
          ),
        ).toEqual([{ n: 1 }]);
        expect(await world.vsphere.govc('snapshot.tree', '-vm', live)).not.toBe('');
      },
    );
  },
);

/** The site's control server outlives the verbs for a while; nothing of it may outlive the test. */
function stopControlLater({ folder }: VsphereWorld): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      const control = placeControl(join(folder, '.clona')).folder;
      await stopServer({ dataDir: join(control, 'data'), mode: 'immediate' }).catch(() => {});
    },
  };
}
