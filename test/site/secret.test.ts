import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { resolveSecret } from '../../src/site/secret.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('a secret is read from the environment, and its absence names the variable', async () => {
  vi.stubEnv('CLONA_TEST_SECRET', 'hunter2');
  expect(await resolveSecret({ kind: 'env', name: 'CLONA_TEST_SECRET' })).toBe('hunter2');
  await expect(resolveSecret({ kind: 'env', name: 'CLONA_TEST_ABSENT' })).rejects.toThrow(
    'the environment variable CLONA_TEST_ABSENT is not set',
  );
});

test('a secret is read from a file without the line break that editors put at its end', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'clona-secret-'));
  try {
    const path = join(folder, 'password');
    await writeFile(path, ' hunter2 \n');
    expect(await resolveSecret({ kind: 'file', path })).toBe(' hunter2 ');
    await writeFile(path, '\n');
    await expect(resolveSecret({ kind: 'file', path })).rejects.toThrow('is empty');
    await expect(resolveSecret({ kind: 'file', path: join(folder, 'none') })).rejects.toMatchObject({
      exitCode: 2,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
