import { spawnSync } from 'node:child_process';
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { placeControl } from '../../src/control/place.ts';
import { readGrades } from '../../src/archive/repository.ts';
import { makeProvenArchive, type ProvenArchive } from '../databases/postgres/prove/proven-archive.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
let made: ProvenArchive;
beforeAll(async () => {
  made = await makeProvenArchive();
});
afterAll(async () => {
  // Under the closed folder of the cluster the site's control database lies elsewhere.
  const control = placeControl(join(made.cluster.folder, '.clona')).folder;
  await rm(control, { recursive: true, force: true });
  await made[Symbol.asyncDispose]();
});

interface Answer {
  grade?: number;
  passed?: boolean;
  error?: { code: string };
  backups?: { label: string; grade: number; due: string[] }[];
  gaps?: { from: string; to: string; acknowledged: { by: string; why: string } | null }[];
  proofs?: { label: string; grade: number }[];
  needRestore?: { label: string; wanted: number }[];
  warnings?: string[];
}

function prove(...args: string[]): { status: number | null; json: Answer; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, 'prove', '--json', ...args], {
    encoding: 'utf8',
  });
  return { status, json: stdout === '' ? {} : (JSON.parse(stdout) as Answer), stderr };
}

test('with the archive alone: the newest backup to grade 2, remembered beside it', async () => {
  const { folder } = made.archive;
  expect(prove('--archive', folder, '--mirror', made.mirror.folder)).toMatchObject({
    status: 0,
    json: { label: 'B2', grade: 2, passed: true },
  });
  expect((await readGrades(made.archive, 'B2')).at(-1)).toMatchObject({ grade: 2 });
  expect(prove('--archive', folder, '--backup', 'B1', '--grade', '1')).toMatchObject({
    status: 0,
    json: { label: 'B1', grade: 1, log: null },
  });
});

test('a damaged backup ends with 4 and loses its grades; mended it is proven again', async () => {
  const path = join(made.archive.folder, 'backups', 'B2', 'base.tar.zst');
  const before = await readFile(path);
  {
    await using file = await open(path, 'r+');
    await file.write('damage', 5000);
  }
  expect(prove('--archive', made.archive.folder)).toMatchObject({
    status: 4,
    json: { label: 'B2', grade: 0, passed: false },
  });
  expect((await readGrades(made.archive, 'B2')).map(({ grade }) => grade)).toEqual([0]);
  await writeFile(path, before);
  expect(prove('--archive', made.archive.folder).status).toBe(0);
});

test('what is not there ends with 5 as in catalog and restore, wrong questions with 2', () => {
  expect(prove('--archive', join(made.cluster.folder, 'nowhere')).status).toBe(5);
  expect(prove('--archive', made.archive.folder, '--backup', 'B9').status).toBe(5);
  expect(prove('--archive', made.archive.folder, '--grade', '4').status).toBe(2);
  expect(prove('--grade', '1').status).toBe(2);
  expect(prove('--archive', made.archive.folder, '--acknowledge', '1..2', '--why', 'x').status).toBe(2);
});

describe('for a site', () => {
  let site: string;
  beforeAll(async () => {
    site = join(made.cluster.folder, 'clona.yaml');
    await writeFile(
      site,
      `name: erp\narchive:\n  location: ${made.archive.folder}\n  maximumAge: 26h\n  minimumGrade: 5\n`,
    );
  });

  test('what is due is proven, remembered and recorded; what was just proven is not looked at again', () => {
    const first = prove('--site', site, '--as', 'amra');
    expect(first).toMatchObject({ status: 0 });
    expect(first.json.backups?.map(({ label, grade }) => [label, grade])).toEqual([
      ['B2', 2],
      ['B1', 2],
    ]);
    expect(first.json.needRestore).toEqual([{ label: 'B2', grade: 2, wanted: 5 }]);
    expect(first.json.warnings).toEqual(['no backup is proven to grade 5']);
    expect(prove('--site', site).json.proofs).toEqual([]);
  });

  test('a gap is warned of, until somebody says why it may stay', async () => {
    const lost = join(made.archive.folder, 'log', '00000001');
    const names = (await readdir(lost)).filter((name) => /^[0-9A-F]{24}\.zst$/.test(name)).sort();
    await rm(join(lost, names.at(-3) ?? ''));
    const [gap] = prove('--site', site).json.gaps ?? [];
    expect(gap).toMatchObject({ acknowledged: null });
    expect(
      prove(
        '--site',
        site,
        '--acknowledge',
        `${gap?.from}..${gap?.to}`,
        '--why',
        'disk replaced',
        '--as',
        'amra',
      ).status,
    ).toBe(0);
    const after = prove('--site', site);
    expect(after.json.gaps).toMatchObject([{ acknowledged: { by: 'amra', why: 'disk replaced' } }]);
    expect(after.json.warnings?.filter((line) => line.includes('gap'))).toEqual([]);
    const shown = spawnSync(process.execPath, [launcher, 'catalog', '--site', site], { encoding: 'utf8' });
    expect(shown.stdout).toMatch(/gap in incarnation 1: .* acknowledged by amra at .*: disk replaced/);
  });
});
