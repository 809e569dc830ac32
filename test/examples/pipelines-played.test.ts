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

/** A piece of shell of a job, as its runner hands it to bash. */
interface Script {
  name: string;
  text: string;
  env?: Record<string, string>;
  /** After a failure, too. */
  always?: boolean;
}

interface Job {
  scripts: Script[];
  artifacts: string[];
}

interface Kit {
  kit: string;
  sha256: string;
}

/** GitHub's runner: `bash -e` for each step. */
interface Workflow {
  jobs: Record<
    string,
    {
      steps: {
        name?: string;
        if?: string;
        run?: string;
        env?: Record<string, string>;
        with?: { path: string };
      }[];
    }
  >;
}

function readGithubJob(text: string, job: string, { kit, sha256 }: Kit): Job {
  const steps = (parse(text) as Workflow).jobs[job]?.steps ?? [];
  const inputs = { kit, sha256 };
  return {
    scripts: steps.flatMap(({ run: script, name = '', env = {}, if: when }) =>
      script === undefined
        ? []
        : [
            {
              name,
              text: fill(script, inputs),
              env: Object.fromEntries(Object.entries(env).map(([key, value]) => [key, fill(value, inputs)])),
              always: when === 'always()',
            },
          ],
    ),
    artifacts: steps.flatMap(({ with: more }) => more?.path.trim().split('\n') ?? []),
  };
}

/** GitLab's runner: the lines of `script` are one script that ends at its first failure; `after_script` is another one. */
interface GitlabJob {
  script: string[];
  after_script?: string[];
  artifacts: { paths: string[]; reports?: { junit: string } };
}

function readGitlabJob(text: string, job: string, { kit, sha256 }: Kit): Job {
  const { script, after_script: after = [], artifacts } = (parse(text) as Record<string, GitlabJob>)[job]!;
  const env = { KIT: kit, KIT_SHA256: sha256 };
  return {
    scripts: [
      { name: job, text: ['set -o pipefail', ...script].join('\n'), env },
      { name: 'after_script', text: after.join('\n'), env, always: true },
    ],
    artifacts: [...artifacts.paths, ...(artifacts.reports === undefined ? [] : [artifacts.reports.junit])],
  };
}

const missing = await whyNoVsphereWorld();
const live = 'DC0_H0_VM0';

async function playJob(
  { scripts, artifacts }: Job,
  env: NodeJS.ProcessEnv,
  workspace: string,
): Promise<{ failed: string[]; artifacts: string[] }> {
  await mkdir(workspace);
  const failed: string[] = [];
  for (const { name, text, env: own, always = false } of scripts) {
    if (failed.length > 0 && !always) continue;
    const file = `${workspace}.sh`;
    await writeFile(file, text);
    const { code, said } = await run(file, { ...env, ...own }, workspace);
    if (code !== 0) failed.push(`${name}: exit ${code}${code === 3 ? '' : `: ${said}`}`);
  }
  return { failed, artifacts };
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

/** Two sites that differ in all that a pipeline does not see. */
const rows = [
  { maker: 'GitHub', file: 'github-actions.yml', readJob: readGithubJob, early: 'promote', world: {} },
  {
    maker: 'GitLab',
    file: 'gitlab-ci.yml',
    readJob: readGitlabJob,
    early: 'live',
    world: { director: 'director', byUrl: true, siteApart: true },
  },
];

describe.skipIf(missing !== undefined)(
  `a pipeline on vSphere${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    // One test each: a job stands on the one before it.
    test.each(rows)(
      'of $maker brings a kit to staging, stops at the gate without a word, and promotes it with one',
      { timeout: 300_000 },
      async ({ file, readJob, early, world: options }) => {
        await using world = await createVsphereWorld('', options);
        await using _control = stopControlLater(world);
        const text = await readFile(join(repository, 'examples/pipelines', file), 'utf8');
        const env = await installCommand(world);
        const kit = await writeKit(world);
        const { hash: sha256 } = await hashKit(kit, new AbortController().signal);
        const play = async (job: string, folder: string) =>
          playJob(readJob(text, job, { kit, sha256 }), env, join(world.folder, folder));

        const staging = await play('staging', 'staging');
        expect(staging).toMatchObject({ failed: [] });
        expect(await json(world.folder, 'staging/refresh.json')).toMatchObject({ ok: true, grade: 5 });
        for (const artifact of staging.artifacts) await stat(join(world.folder, 'staging', artifact));
        expect(await readFile(join(world.folder, 'staging/smoke.xml'), 'utf8')).toContain('<testsuite');

        const stopped = await play('live', 'early');
        expect(stopped.failed).toEqual([`${early}: exit 3`]);
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
function stopControlLater({ state }: VsphereWorld): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      const control = placeControl(state).folder;
      await stopServer({ dataDir: join(control, 'data'), mode: 'immediate' }).catch(() => {});
    },
  };
}
