import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEvidenceNote } from '../../src/archive/evidence-note.ts';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';
import { createTestCluster, type TestCluster } from '../support/cluster.ts';

const script = join(import.meta.dirname, '../../bin/clona.js');

describe('clona backup', () => {
  let cluster: TestCluster;
  let url: string;

  beforeAll(async () => {
    cluster = await createTestCluster({ password: 'never-shown', tcp: true });
    url = `postgresql://postgres:never-shown@127.0.0.1:${cluster.address.port}/postgres`;
  });
  afterAll(async () => cluster[Symbol.asyncDispose]());

  async function clona(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [script, ...args],
        { env: { ...process.env, DB_URL: url } },
        (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
        },
      );
    });
  }

  test('refuses an archive on the device of the database, and takes it with a reason', async () => {
    const archive = join(cluster.folder, 'archive');
    const plain = await clona('backup', '--database', 'env:DB_URL', '--archive', archive);
    expect(plain).toMatchObject({ code: 2, stderr: expect.stringContaining('CLONA-0311') });
    const args = [
      'backup',
      '--database',
      'env:DB_URL',
      '--archive',
      archive,
      '--accept-shared-disk',
      'a test',
    ];
    const taken = await clona(...args, '--label', 'first', '--json');
    expect(taken).toMatchObject({ code: 0, stderr: expect.stringContaining('ONE DISK') });
    const found: unknown = JSON.parse(taken.stdout);
    expect(found).toMatchObject({ label: 'first', kind: 'managed', ownLog: true, archive });
    const note = await readEvidenceNote(join(archive, 'backups/first'));
    expect(note).toMatchObject({ isOfThisBackup: true, note: { kind: 'backup.taken', host: hostname() } });
    expect(found).toMatchObject({ evidence: note?.note });
    expect(taken.stdout + taken.stderr).not.toContain('never-shown');
    const again = await clona(...args, '--label', 'first');
    expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('exists') });
  });

  test('reads the URL from a file and refuses one on the command line', async () => {
    const file = join(cluster.folder, 'url');
    await writeFile(file, `${url}\n`);
    const archive = join(cluster.folder, 'by-file');
    const taken = await clona(
      'backup',
      '--database',
      `file:${file}`,
      '--archive',
      archive,
      '--kind',
      'quiesced',
      '--accept-shared-disk',
      'a test',
    );
    expect(taken).toMatchObject({ code: 0, stdout: expect.stringContaining('writers were paused') });
    const refused = await clona('backup', '--database', url, '--archive', archive);
    expect(refused.code).toBe(2);
    expect(refused.stderr).not.toContain('never-shown');
  });

  test('a wrong password and a database that is gone end with 6', async () => {
    url = url.replace('never-shown', 'wrong');
    const wrong = await clona('backup', '--database', 'env:DB_URL', '--archive', join(cluster.folder, 'x'));
    url = url.replace('wrong', 'never-shown');
    expect(wrong).toMatchObject({ code: 6, stderr: expect.stringContaining('password') });
    const here = url;
    url = 'postgresql://postgres@127.0.0.1:1/postgres';
    const gone = await clona('backup', '--database', 'env:DB_URL', '--archive', join(cluster.folder, 'x'));
    url = here;
    expect(gone).toMatchObject({ code: 6, stderr: expect.stringContaining('127.0.0.1:1') });
  });

  test.skipIf(!canMount())('a full disk ends with 6 and says so', async () => {
    await using disk = await mountSmallDisk(2);
    const full = await clona('backup', '--database', 'env:DB_URL', '--archive', join(disk.folder, 'archive'));
    expect(full).toMatchObject({ code: 6, stderr: expect.stringContaining('no space left') });
  });
});
