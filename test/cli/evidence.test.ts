import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeExport } from '../../src/control/ledger-export.ts';
import { exportPublicKey, formatHead, signHead } from '../../src/control/ledger-head.ts';
import { placeControl } from '../../src/control/place.ts';
import { readServerState } from '../../src/databases/postgres/server.ts';
import { chainRecord } from '../../src/control/ledger-record.ts';

const bin = new URL('../../bin/clona.js', import.meta.url).pathname;
let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-evidence-'));
  file = join(folder, 'evidence.jsonl');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const opening = { ledger: 'L1', publicKey: exportPublicKey(privateKey) };
  const time = new Date('2026-01-01T00:00:00Z');
  const first = chainRecord(null, { kind: 'ledger.opened', run: null, key: null, payload: opening }, time);
  const second = chainRecord(
    first,
    { kind: 'backup.taken', run: 'R1', key: 'R1/1', payload: { label: 'B1' } },
    time,
  );
  const head = signHead(
    { format: 'clona-evidence-head/1', ...opening, sequence: 2, hash: second.hash, time: second.time },
    privateKey,
  );
  await writeExport(file, [first, second], head, new AbortController().signal);
  await writeFile(join(folder, 'head.json'), `${formatHead(head)}\n`);
  await writeFile(join(folder, 'ledger.pub'), publicKey.export({ format: 'pem', type: 'spki' }));
  const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' });
  await writeFile(join(folder, 'other.pub'), other);
});
afterAll(async () => {
  const { folder: server, socketDir } = placeControl(join(folder, '.clona'));
  for (const path of [folder, server, socketDir]) await rm(path, { recursive: true, force: true });
});

async function clona(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [bin, ...args], { cwd: folder })) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test('evidence verify needs no site and no server, and says whether key and end were held against something', async () => {
  const plain = await clona('evidence', 'verify', file, '--json');
  expect(JSON.parse(plain.stdout)).toMatchObject({
    verified: true,
    records: 2,
    checked: { key: false, head: false },
  });
  const pinned = await clona(
    'evidence',
    'verify',
    file,
    '--head',
    'head.json',
    '--key',
    'ledger.pub',
    '--json',
  );
  expect(JSON.parse(pinned.stdout)).toMatchObject({ verified: true, checked: { key: true, head: true } });
});

test('evidence verify ends with 4 and names the record that was changed', async () => {
  const path = join(folder, 'changed.jsonl');
  await writeFile(path, (await readFile(file, 'utf8')).replace('"label":"B1"', '"label":"B2"'));
  const { code, stdout } = await clona('evidence', 'verify', path, '--json');
  expect(code).toBe(4);
  expect(JSON.parse(stdout)).toMatchObject({
    error: { code: 'CLONA-0920', details: { record: 2, line: 3 } },
  });
});

test('evidence verify ends with 4 for another key than the pinned one', async () => {
  expect((await clona('evidence', 'verify', file, '--key', 'other.pub')).code).toBe(4);
});

test('evidence verify ends with 2 for a file that is not there', async () => {
  expect((await clona('evidence', 'verify', 'nowhere.jsonl')).code).toBe(2);
  expect((await clona('evidence', 'verify', file, '--head', 'nowhere.json')).code).toBe(2);
});

test('evidence is exported from a site of its own control database, and verifies against the head on the archive', async () => {
  await chmod(folder, 0o711);
  await writeFile(join(folder, 'clona.yaml'), 'name: tiny\narchive:\n  location: archive\n');
  await mkdir(join(folder, 'archive'));
  await writeFile(join(folder, 'archive', 'clona-archive.json'), '{}');
  const exported = await clona('evidence', 'export', 'own.jsonl', '--json');
  expect(JSON.parse(exported.stdout)).toMatchObject({ file: 'own.jsonl', records: 1, verified: true });
  const args = ['--head', 'archive/evidence/head.json', '--key', '.clona/keys/ledger.pub'];
  expect((await clona('evidence', 'verify', 'own.jsonl', ...args)).code).toBe(0);
  expect((await clona('evidence', 'list')).stdout).toContain('ledger.opened');
  // Its own server went down with the last verb.
  expect((await readServerState(join(placeControl(join(folder, '.clona')).folder, 'data'))).state).toBe(
    'stopped',
  );
});
