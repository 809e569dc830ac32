import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, copyFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createManyStagings, destroyStagingInTurn } from '../src/machines/pulumi/many.ts';
import { layTable } from '../src/recovery/table.ts';
import { startVcsim, findVcsim, type Vcsim } from '../test/support/vcsim.ts';
import { completeLive, liveName } from '../test/support/vsphere-site.ts';
import { findTestToolchain } from '../test/support/toolchain.ts';
import type { LiveStagingArgs } from '../infra/staging-args.ts';
import type { Toolchain } from '../src/machines/pulumi/toolchain.ts';

/**
 * Staging machines on a simulated vCenter that takes 50 ms for every answer: CLONA_BENCH_CLONES (50) at once by
 * clona, against `pulumi up` one by one (CLONA_BENCH_SINGLE of them, 5, their mean). Both on two cores. Goal: three
 * times faster, none lost, none left over.
 */
const cores = '0,1';
const many = Number(process.env['CLONA_BENCH_CLONES'] ?? 50);
const single = Number(process.env['CLONA_BENCH_SINGLE'] ?? 5);
const repository = fileURLToPath(new URL('..', import.meta.url));

const toolchain = await findTestToolchain();
if (toolchain === undefined || toolchain.languageHost === null || findVcsim() === undefined) {
  console.log(
    'skipped: Pulumi with its language host, the vSphere provider or vcsim is not here (CLONA_TOOLCHAIN)',
  );
} else if (process.env['CLONA_BENCH_PINNED'] === undefined && hasTaskset()) {
  const env = { ...process.env, CLONA_BENCH_PINNED: '1' };
  const { status } = spawnSync('taskset', ['-c', cores, process.execPath, fileURLToPath(import.meta.url)], {
    stdio: 'inherit',
    env,
  });
  process.exitCode = status ?? 1;
} else {
  await compare(toolchain);
}

function hasTaskset(): boolean {
  return spawnSync('taskset', ['-V']).status === 0;
}

async function compare(engine: Toolchain): Promise<void> {
  await using vcsim = await startVcsim(['-delay', '50']);
  completeLive(vcsim);
  const folder = mkdtempSync(join(tmpdir(), 'clona-bench-vsphere-'));
  const before = vcsim.govc('find', '/', '-type', 'm');
  try {
    const oneSeconds = oneByOne(vcsim, engine, folder) / 1000;
    const { seconds, made, lost } = await atOnce(vcsim, engine, folder);
    const left = vcsim.govc('find', '/', '-type', 'm') === before ? 0 : 1;
    const factor = (oneSeconds * many) / seconds;
    console.log(
      layTable([
        ['way', 'clones', 'seconds', 'seconds a clone'],
        ['pulumi up one by one', `${single}`, (oneSeconds * single).toFixed(1), oneSeconds.toFixed(2)],
        ['clona, at once', `${many}`, seconds.toFixed(1), (seconds / many).toFixed(2)],
      ]).join('\n'),
    );
    console.log(`factor ${factor.toFixed(1)} (goal 3), ${made} made, ${lost} lost, left over: ${left}`);
    if (factor < 3 || lost > 0 || made !== many || left > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Mean milliseconds of `pulumi up` in this folder, as somebody would type it. */
function oneByOne(vcsim: Vcsim, engine: Toolchain, folder: string): number {
  const project = join(folder, 'project');
  mkdirSync(project);
  for (const name of ['infra', 'src', 'node_modules', 'package.json']) {
    symlinkSync(join(repository, name), join(project, name));
  }
  copyFileSync(join(repository, 'Pulumi.yaml'), join(project, 'Pulumi.yaml'));
  const env = {
    ...process.env,
    PATH: `${resolve(process.execPath, '..')}:${engine.path}`,
    PULUMI_HOME: join(folder, 'home'),
    PULUMI_CONFIG_PASSPHRASE: 'bench',
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    VSPHERE_PASSWORD: vcsim.password,
  };
  const run = (...argv: string[]): void => {
    execFileSync(engine.pulumi, ['--non-interactive', ...argv], { env, cwd: project, stdio: 'pipe' });
  };
  const settings = {
    platform: 'vsphere',
    source: liveName,
    site: 'erp',
    vsphereServer: vcsim.server,
    vsphereUser: vcsim.user,
    vsphereAllowUnverifiedTls: 'true',
    datacenter: 'DC0',
    cluster: 'DC0_H0',
    datastore: 'LocalDS_0',
    isolatedPortGroup: 'VM Network',
    guestUser: 'erp',
    guestPrivateKey: 'key',
    guestHostKey: `SHA256:${'a'.repeat(43)}`,
  };
  const names = Array.from({ length: single }, (_, index) => `single${index}`);
  for (const name of names) {
    run('stack', 'init', name);
    for (const [key, value] of Object.entries({ ...settings, name })) run('config', 'set', key, value);
  }
  const started = performance.now();
  for (const name of names) run('up', '--yes', '--skip-preview', '--stack', name);
  const milliseconds = (performance.now() - started) / names.length;
  for (const name of names) run('destroy', '--yes', '--skip-preview', '--stack', name);
  return milliseconds;
}

async function atOnce(
  vcsim: Vcsim,
  engine: Toolchain,
  folder: string,
): Promise<{ seconds: number; made: number; lost: number }> {
  const signal = AbortSignal.timeout(1_800_000);
  const requests = Array.from({ length: many }, (_, index) => {
    const name = `many${index}`;
    return { options: { folder, name, signal, toolchain: engine }, args: argsOf(vcsim, name) };
  });
  const started = performance.now();
  const results = await createManyStagings(requests);
  const seconds = (performance.now() - started) / 1000;
  for (const result of results) if (result.status === 'rejected') console.log(String(result.reason));
  const made = vcsim.govc('find', '/', '-type', 'm', '-name', 'many*').trim().split('\n').length;
  await Promise.all(requests.map(async (request) => destroyStagingInTurn(request)));
  return { seconds, made, lost: results.filter(({ status }) => status === 'rejected').length };
}

function argsOf(vcsim: Vcsim, name: string): LiveStagingArgs {
  const { server, user, password } = vcsim;
  return {
    platform: 'vsphere',
    name,
    source: liveName,
    labels: { site: 'erp' },
    vsphere: {
      address: { server, user, password, allowUnverifiedTls: true },
      places: { datacenter: 'DC0', cluster: 'DC0_H0', datastore: 'LocalDS_0' },
      network: { portGroup: 'VM Network' },
      guest: { user: 'erp', privateKeyFile: 'key', hostKey: 'SHA256:', platform: 'linux', port: 22 },
      systemDisk: '/opt',
      dataDisk: '/data',
    },
  };
}
