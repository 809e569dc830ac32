import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  findToolchain,
  pulumiVersion,
  type ToolchainOptions,
} from '../../../src/machines/pulumi/toolchain.ts';
import { findChecksum, releaseUrls } from '../../../src/machines/pulumi/toolchain-download.ts';

let folder: string;
let system: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-toolchain-'));
  // What the scripts below need, and nothing that happens to be installed beside it.
  system = join(folder, 'system');
  await mkdir(system);
  for (const name of ['sh', 'chmod', 'cat']) await symlink(`/bin/${name}`, join(system, name));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const nowhere = { releases: 'http://127.0.0.1:1', checksums: 'http://127.0.0.1:1' };

async function find(options: Partial<ToolchainOptions> = {}) {
  return findToolchain({
    folder,
    signal: AbortSignal.timeout(60_000),
    env: { PATH: system },
    download: nowhere,
    ...options,
  });
}

async function program(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
}

const engine = (version: string): string => `echo v${version}`;

describe('the Pulumi engine is looked for', () => {
  test('on PATH first, with its language host', async () => {
    await program(join(folder, 'bin/pulumi'), engine('3.300.1'));
    await program(join(folder, 'bin/pulumi-language-nodejs'), 'true');
    await program(join(folder, '.tools/pulumi'), engine(pulumiVersion));
    const found = await find({ env: { PATH: `${folder}/bin:${system}` } });
    expect(found).toEqual({
      pulumi: join(folder, 'bin/pulumi'),
      languageHost: join(folder, 'bin/pulumi-language-nodejs'),
      version: '3.300.1',
      source: 'path',
      path: `${folder}/bin:${system}`,
    });
  });

  test('then in .tools, where one that is too old or broken on PATH does not count', async () => {
    await program(join(folder, 'old/pulumi'), engine('3.199.9'));
    await program(join(folder, 'broken/pulumi'), 'exit 1');
    await program(join(folder, '.tools/pulumi'), engine(pulumiVersion));
    const found = await find({ env: { PATH: `${folder}/old:${folder}/broken:${system}` } });
    expect(found).toMatchObject({
      source: 'tools',
      languageHost: null,
      path: expect.stringContaining('.tools:'),
    });
  });

  test('then by the unpack script of CLONA_TOOLCHAIN, once for two at the same time', async () => {
    await program(
      join(folder, 'given/unpack'),
      `echo run >> "${folder}/runs"; printf '#!/bin/sh\\n${engine(pulumiVersion)}\\n' > "$1/pulumi"; chmod +x "$1/pulumi"`,
    );
    const env = { PATH: system, CLONA_TOOLCHAIN: join(folder, 'given') };
    const found = await Promise.all([find({ env }), find({ env })]);
    expect(found.map(({ source }) => source)).toContain('toolchain');
    expect(await readFile(join(folder, 'runs'), 'utf8')).toBe('run\n');
    expect(await readdir(join(folder, '.tools'))).toEqual(['pulumi']);
    expect((await find({ env })).source).toBe('tools');
  });

  test('an unpack script that fails leaves nothing that looks whole', async () => {
    await program(join(folder, 'given/unpack'), 'echo half > "$1/pulumi"; exit 1');
    const env = { PATH: system, CLONA_TOOLCHAIN: join(folder, 'given') };
    await expect(find({ env })).rejects.toMatchObject({ kind: 'toolchainMissing' });
    expect(await readdir(join(folder, '.tools'))).toEqual([]);
  });

  test('where nothing helps, every way that was tried and every way out is named', async () => {
    const error: unknown = await find().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      kind: 'toolchainMissing',
      exitCode: 6,
      hint: expect.stringMatching(/PATH.*\.tools.*CLONA_TOOLCHAIN.*get\.pulumi\.com.*Go/),
      details: {
        tried: [
          'PATH: no pulumi on it that would do',
          '.tools: no pulumi in it',
          'unpack the toolchain: CLONA_TOOLCHAIN is not set',
          expect.stringContaining('http://127.0.0.1:1/'),
          expect.stringContaining('Go is not installed'),
        ],
      },
    });
  });

  test('only looking brings nothing', async () => {
    await expect(find({ mayInstall: false })).rejects.toMatchObject({ kind: 'toolchainMissing' });
    await expect(access(join(folder, '.tools'))).rejects.toThrow('ENOENT');
  });

  test('a build with Go uses tools/go.mod and tells how far it is', async () => {
    await program(
      join(folder, 'bin/go'),
      [
        'test -f go.mod || exit 9',
        'for a in "$@"; do [ "$last" = -o ] && out=$a; last=$a; done',
        'echo "github.com/pulumi/pulumi/sdk/v3" >&2; echo "$@" > "$out.argv"',
        `printf '#!/bin/sh\\n${engine(pulumiVersion)}\\n' > "$out"; chmod +x "$out"`,
      ].join('\n'),
    );
    const told: string[] = [];
    const found = await find({
      env: { PATH: `${folder}/bin:${system}` },
      onProgress: ({ detail }) => told.push(detail ?? ''),
    });
    expect(found.source).toBe('build');
    expect(told).toContain('1 packages, about 0 %');
    const argv = await readFile(join(folder, '.tools/pulumi.argv'), 'utf8');
    expect(argv).toContain(`version.Version=v${pulumiVersion}`);
    expect(argv.trim().endsWith('github.com/pulumi/pulumi/pkg/v3/cmd/pulumi')).toBe(true);
  });
});

describe('the official download', () => {
  let server: Server;
  let archive: Buffer;
  let sum: string;
  beforeEach(async () => {
    const tar = pack();
    tar.entry({ name: 'pulumi/pulumi', mode: 0o755 }, `#!/bin/sh\n${engine(pulumiVersion)}\n`);
    tar.entry({ name: 'pulumi/pulumi-language-nodejs', mode: 0o755 }, '#!/bin/sh\n');
    tar.entry({ name: '../../escaped' }, 'not wanted');
    tar.finalize();
    archive = gzipSync(await buffer(tar));
    sum = createHash('sha256').update(archive).digest('hex');
    server = createServer((request, response) => {
      if (request.url?.endsWith('checksums.txt') === true) {
        response.end(`${'0'.repeat(64)}  other.tar.gz\n${sums()}`);
      } else if (request.url?.endsWith('.tar.gz') === true) response.end(archive);
      else response.writeHead(404).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => server.close());

  const sums = (): string =>
    ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']
      .map((name) => `${sum}  pulumi-v${pulumiVersion}-${name}.tar.gz\n`)
      .join('');
  const place = (): { releases: string; checksums: string } => {
    const { port } = server.address() as { port: number };
    return { releases: `http://127.0.0.1:${port}/r`, checksums: `http://127.0.0.1:${port}/c` };
  };

  test('is kept when its sum is the published one, programs only', async () => {
    const found = await find({ download: place() });
    expect(found).toMatchObject({ source: 'download', version: pulumiVersion });
    expect(found.languageHost).toBe(join(folder, '.tools/pulumi-language-nodejs'));
    expect((await readdir(join(folder, '.tools'))).sort()).toEqual(['pulumi', 'pulumi-language-nodejs']);
  });

  test('is thrown away when its sum is another', async () => {
    sum = 'f'.repeat(64);
    await expect(find({ download: place() })).rejects.toMatchObject({
      details: { tried: expect.arrayContaining([expect.stringContaining('published is ffff')]) },
    });
    expect(await readdir(join(folder, '.tools'))).toEqual([]);
  });

  test('goes to the makers, for the systems they build for', () => {
    expect(releaseUrls('3.259.0', { platform: 'linux', arch: 'x64' })).toEqual({
      file: 'pulumi-v3.259.0-linux-x64.tar.gz',
      archive: 'https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-linux-x64.tar.gz',
      checksums: 'https://github.com/pulumi/pulumi/releases/download/v3.259.0/pulumi-3.259.0-checksums.txt',
    });
    expect(releaseUrls('3.259.0', { platform: 'aix', arch: 'ppc64' })).toBeUndefined();
  });

  test('reads the sums of the very file', () => {
    expect(findChecksum(`${'a'.repeat(64)}  x.tar.gz\n${'b'.repeat(64)} *y.tar.gz\n`, 'y.tar.gz')).toBe(
      'b'.repeat(64),
    );
    expect(findChecksum('short  y.tar.gz\n', 'y.tar.gz')).toBeUndefined();
  });
});
