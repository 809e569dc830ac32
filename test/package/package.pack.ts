import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestMachine, listLeftovers } from '../support/machine.ts';
import { findTestToolchain } from '../support/toolchain.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let user: string;

function run(cwd: string, command: string, args: readonly string[]) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', env: withoutNpmContext() });
  return { ...result, said: `${result.stdout}${result.stderr}` };
}

/** npm run hands its own settings down by the environment; a user's npm has none of them. */
function withoutNpmContext(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_(?!config_registry)|VITEST|NODE_ENV)/i.test(name),
  );
  return Object.fromEntries(kept);
}

function clona(...args: string[]) {
  return run(user, process.execPath, [join(user, 'node_modules/clona/bin/clona.js'), ...args]);
}

const time = (hour: number): string => `2025-03-01T${String(hour).padStart(2, '0')}:00:00Z`;

const catalog = {
  engine: 'postgres',
  database: 'ERP',
  currentIncarnation: 1,
  incarnations: [{ id: 1, parent: null, branchPosition: '1', openedAt: time(0) }],
  backups: [
    {
      label: 'B1',
      incarnation: 1,
      kind: 'managed',
      start: '100',
      consistentFrom: '120',
      startedAt: time(1),
      finishedAt: time(2),
      device: 'disk-b',
      state: 'available',
      ownLog: false,
      grade: 3,
      pinned: false,
      bytes: 1024,
    },
  ],
  logs: [
    {
      incarnation: 1,
      thread: 1,
      sequence: 1,
      first: '90',
      next: '300',
      firstTime: time(1),
      nextTime: time(3),
      state: 'available',
    },
  ],
  onlineLogs: [],
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-package-'));
  user = join(folder, 'user');
  const packed = run(root, 'npm', ['pack', '--pack-destination', folder]);
  if (packed.status !== 0) throw new Error(packed.said);
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error(`npm pack made no package: ${packed.said}`);
  await mkdir(user);
  await writeFile(join(user, 'package.json'), '{ "name": "user", "private": true, "type": "module" }\n');
  const installed = run(user, 'npm', [
    'install',
    '--omit=dev',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(folder, tarball),
  ]);
  if (installed.status !== 0) throw new Error(installed.said);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('the packed clona prints its version and every verb', async () => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(clona('--version')).toMatchObject({ status: 0, stdout: `${version}\n` });
  const { verbs } = await import('../../src/cli/verbs.ts');
  const { stdout } = clona('--help');
  for (const name of Object.keys(verbs)) expect(stdout).toMatch(new RegExp(`^ +${name} `, 'm'));
});

test('every verb of the packed clona loads', async () => {
  const { verbs } = await import('../../src/cli/verbs.ts');
  for (const name of Object.keys(verbs)) {
    const { status, said } = clona(name, '--help');
    expect({ name, status, said: status === 0 ? '' : said }).toEqual({ name, status: 0, said: '' });
  }
});

test('plan answers from a catalog file alone', async () => {
  await writeFile(join(user, 'catalog.json'), JSON.stringify(catalog));
  const { status, stdout, said } = clona('plan', '--catalog', 'catalog.json', '--json');
  expect({ status, said: status === 0 ? '' : said }).toEqual({ status: 0, said: '' });
  expect(JSON.parse(stdout)).toMatchObject({
    reachable: true,
    backup: 'B1',
    target: { incarnation: 1, until: '300' },
  });
});

test('init writes a site that doctor reads', async () => {
  const site = join(user, 'shop');
  await mkdir(site);
  expect(clona('init', '--yes', '--name', 'shop', '--site', 'shop/clona.yaml')).toMatchObject({ status: 0 });
  const { status, stdout } = clona('doctor', '--site', 'shop/clona.yaml', '--json');
  expect([2, 6]).toContain(status);
  expect(JSON.parse(stdout)).toMatchObject({ ok: false, findings: expect.any(Array) });
});

test('init takes over the example, with kits that hash and smoke tests that are found', async () => {
  const site = join(user, 'erp');
  await mkdir(site);
  expect(clona('init', '--from-example', 'erp', '--site', 'erp/clona.yaml')).toMatchObject({ status: 0 });
  const files = await readdir(site, { recursive: true });
  for (const wanted of [
    'kits/2.1/kit.yaml',
    'smoke/sales/orders.smoke.ts',
    'masking/people.sql',
    'load.ts',
  ]) {
    expect(files).toContain(wanted);
  }
  expect(files.filter((name) => name.endsWith('.js') || name.endsWith('.d.ts'))).toEqual([]);
  const hash = (kit: string) => clona('kit', 'hash', kit).stdout;
  expect(hash('erp/kits/2.1')).toMatch(/[0-9a-f]{64}/);
  expect(hash('erp/kits/2.1')).toBe(hash(join(root, 'examples/erp/kits/2.1')));
  const findings = clona('doctor', '--site', 'erp/clona.yaml', '--json').stdout;
  expect(findings).toContain('smoke tests in');
});

test('init writes a Pulumi program that finds the provider and the component in the package', async () => {
  const site = join(user, 'cloned');
  await mkdir(site);
  expect(clona('init', '--yes', '--name', 'cloned', '--site', 'cloned/clona.yaml')).toMatchObject({
    status: 0,
  });
  const [, provider = ''] = /path: "(.*)"/.exec(await readFile(join(site, 'Pulumi.yaml'), 'utf8')) ?? [];
  expect(existsSync(join(site, provider, 'pulumi-resource-clona-local'))).toBe(true);
  expect(await readFile(join(site, 'staging.mjs'), 'utf8')).toContain('from "clona"');
});

const toolchain = await findTestToolchain();

test.skipIf(toolchain === undefined || toolchain.languageHost === null)(
  'pulumi up makes a staging machine from the packed program, and destroys it (needs the Pulumi toolchain)',
  async () => {
    await using live = await createTestMachine({ role: 'live' });
    const site = join(user, 'cloned');
    const pulumi = (...args: string[]): string => {
      const env = {
        ...withoutNpmContext(),
        PATH: `${dirname(process.execPath)}:${toolchain?.path}`,
        PULUMI_HOME: join(folder, 'pulumi-home'),
        PULUMI_CONFIG_PASSPHRASE: 'test',
        PULUMI_SKIP_UPDATE_CHECK: 'true',
      };
      const all = ['--non-interactive', '--color', 'never', ...args];
      const { stdout, stderr, status } = spawnSync(toolchain?.pulumi ?? '', all, {
        cwd: site,
        env,
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`${stdout}${stderr}`);
      return stdout;
    };
    pulumi('stack', 'init', 'staging');
    pulumi('config', 'set', 'root', live.root);
    // The policies that it brings along, by the path that its Pulumi.yaml names.
    const policies = join(user, 'node_modules/clona/dist/infra/policy');
    expect(await readFile(join(site, 'Pulumi.yaml'), 'utf8')).toContain('clona/dist/infra/policy');
    expect(() => pulumi('preview', '--policy-pack', policies)).toThrow('it has no expiry');
    pulumi('config', 'set', 'timeToLive', '1d');
    expect(pulumi('up', '--yes', '--policy-pack', policies)).toContain('3 created');
    expect(pulumi('preview')).toContain('3 unchanged');
    pulumi('destroy', '--yes');
    expect(await listLeftovers(live.root, 'staging')).toEqual([]);
  },
  120_000,
);

test('everything that the package exports is in it', async () => {
  const { exports } = JSON.parse(await readFile(join(user, 'node_modules/clona/package.json'), 'utf8')) as {
    exports: Record<string, string | { types: string; default: string }>;
  };
  for (const target of Object.values(exports)) {
    const paths = typeof target === 'string' ? [target] : [target.types, target.default];
    for (const path of paths) expect(existsSync(join(user, 'node_modules/clona', path))).toBe(true);
  }
});

test('a program imports the decisions, with types', async () => {
  await writeFile(
    join(user, 'program.mts'),
    `import { parseCatalog, parseUntil, planRecovery, type PlanAnswer } from 'clona';
const catalog = parseCatalog(${JSON.stringify(JSON.stringify(catalog))});
const answer: PlanAnswer = planRecovery(catalog, { until: parseUntil('position:250'), lost: 'database' });
const backup: string | null = answer.backup;
console.log(backup);
`,
  );
  expect(run(user, process.execPath, ['program.mts'])).toMatchObject({ status: 0, stdout: 'B1\n' });
  const tsc = join(root, 'node_modules/.bin/tsc');
  const types = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--skipLibCheck'];
  const checked = run(user, tsc, [
    ...types,
    '--types',
    'node',
    '--typeRoots',
    join(root, 'node_modules/@types'),
    'program.mts',
  ]);
  expect(checked.said).toBe('');
});

test('the package holds no TypeScript that Node.js would have to strip, and no sources', async () => {
  const packed = join(user, 'node_modules/clona');
  const files = (await readdir(packed, { recursive: true })).filter(
    (name) => !name.startsWith('dist/examples/'),
  );
  expect(files.filter((name) => /(?<!\.d)\.ts$/.test(name))).toEqual([]);
  expect(files.filter((name) => name.startsWith('src/'))).toEqual([]);
});
