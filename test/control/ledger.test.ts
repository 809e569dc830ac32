import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openControl, type Control } from '../../src/control/control.ts';
import { readLines, writeExport } from '../../src/control/ledger-export.ts';
import { formatHead, parseHead, signHead, type SignedHead } from '../../src/control/ledger-head.ts';
import { openLedgerKey } from '../../src/control/ledger-keys.ts';
import { openLedger, type Ledger } from '../../src/control/ledger.ts';
import { verifyExport } from '../../src/control/ledger-verify.ts';
import { placeControl } from '../../src/control/place.ts';
import { stopServer } from '../../src/databases/postgres/server.ts';

const signal = new AbortController().signal;
const now = new Date('2026-05-01T10:00:00Z');
let directory: string;
let control: Control;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clona-ledger-'));
  await chmod(directory, 0o711);
  control = await openControl({ site: 'erp', directory, signal });
});
afterAll(async () => {
  await control[Symbol.asyncDispose]();
  const { folder, socketDir } = placeControl(directory);
  await stopServer({ dataDir: join(folder, 'data'), mode: 'immediate' });
  for (const path of [directory, folder, socketDir]) await rm(path, { recursive: true, force: true });
});

let count = 0;
/** A ledger of its own for each test: another site, another folder for keys and head. */
async function freshLedger(headCopies: string[] = []): Promise<{ ledger: Ledger; own: Control }> {
  count += 1;
  const own = await openControl({
    site: `site-${count}`,
    directory: join(directory, `site-${count}`),
    address: control.address,
    signal,
  });
  const copies = headCopies.map((path) => ({ path, beside: null }));
  return { own, ledger: await openLedger({ control: own, headCopies: copies }, now) };
}

const entry = (key: string | null, payload = { label: 'B1' }) => ({
  kind: 'backup.taken',
  run: 'R1',
  key,
  payload,
});

async function exportAndVerify(ledger: Ledger, knownHead?: SignedHead) {
  const path = join(directory, 'evidence.jsonl');
  await writeExport(path, ledger.read(), await ledger.head(), signal);
  return verifyExport(readLines(path, signal), { knownHead });
}

test('records chain up, survive reopening, and their export verifies', async () => {
  const { ledger, own } = await freshLedger();
  await using _ = own;
  for (let index = 0; index < 5; index += 1) await ledger.append(entry(`step-${index}`), now);
  const again = await openLedger({ control: own, headCopies: [] }, now);
  await again.append(entry(null), now);
  expect(await exportAndVerify(again, await ledger.head())).toMatchObject({ ok: true, records: 7 });
});

test('a step that is repeated does not write a second record', async () => {
  const { ledger, own } = await freshLedger();
  await using _ = own;
  const first = await ledger.append(entry('R1/backup'), now);
  const second = await ledger.append(entry('R1/backup', { label: 'B2' }), new Date('2026-05-02T00:00:00Z'));
  expect(second).toEqual(first);
});

test('many who append at once make one chain', async () => {
  const { ledger, own } = await freshLedger();
  await using _ = own;
  const other = await openControl({ site: own.site, directory: own.directory, address: own.address, signal });
  await using _other = other;
  const second = await openLedger({ control: other, headCopies: [] }, now);
  await Promise.all(
    Array.from({ length: 40 }, async (_, index) =>
      (index % 2 === 0 ? ledger : second).append(entry(null), now),
    ),
  );
  expect(await exportAndVerify(ledger)).toMatchObject({ ok: true, records: 41 });
});

test('the server refuses to change, remove or empty records', async () => {
  const { ledger, own } = await freshLedger();
  await using _ = own;
  await ledger.append(entry(null), now);
  const table = `clona_${own.site.replaceAll('-', '_')}.ledger`;
  for (const text of [`update ${table} set kind = 'x'`, `delete from ${table}`, `truncate ${table}`]) {
    await expect(own.session.query(text)).rejects.toThrow('append-only');
  }
  await own.session.query("set session_replication_role = 'replica'");
  await expect(own.session.query(`delete from ${table}`)).rejects.toThrow('append-only');
});

test('every record moves the signed head on the archive and on the mirror', async () => {
  const copies = [
    join(directory, 'archive', 'evidence', 'head.json'),
    join(directory, 'mirror', 'head.json'),
  ];
  const { ledger, own } = await freshLedger(copies);
  await using _ = own;
  await ledger.append(entry(null), now);
  const heads = await Promise.all(
    copies.map(async (path) => parseHead((await readFile(path, 'utf8')).trimEnd())),
  );
  expect(heads).toMatchObject([{ head: { sequence: 2 } }, { head: { sequence: 2 } }]);
});

test('an archive that is away stops no record, and the copy comes later', async () => {
  const path = join(directory, 'away', 'head.json');
  await writeFile(join(directory, 'away'), 'in the way');
  const { ledger, own } = await freshLedger([path]);
  await using _ = own;
  await ledger.append(entry(null), now);
  expect([...ledger.lateCopies.keys()]).toEqual([path]);
  await rm(join(directory, 'away'));
  await ledger.append(entry(null), now);
  expect([...ledger.lateCopies.keys()]).toEqual([]);
  await expect(stat(path)).resolves.toBeDefined();
});

test('a head that the chain no longer bears stays where it is, and status says why', async () => {
  const path = join(directory, 'witness', 'head.json');
  const { ledger, own } = await freshLedger([path]);
  await using _ = own;
  await ledger.append(entry(null), now);
  // As after the control database was brought back from yesterday: the archive bears witness of a record more.
  const { head } = await ledger.head();
  const key = await openLedgerKey(join(own.directory, 'keys'));
  const ahead = `${formatHead(signHead({ ...head, sequence: head.sequence + 5 }, key))}\n`;
  await writeFile(path, ahead);
  await ledger.append(entry(null), now);
  expect(await readFile(path, 'utf8')).toBe(ahead);
  expect(ledger.lateCopies.get(path)).toContain('cut off or written anew');
});

test('the last head of another ledger is put aside, not written over', async () => {
  const path = join(directory, 'shared', 'head.json');
  const first = await freshLedger([path]);
  await using _first = first.own;
  await first.ledger.append(entry(null), now);
  const before = await readFile(path, 'utf8');
  const second = await freshLedger([path]);
  await using _second = second.own;
  const { head } = await first.ledger.head();
  expect(await readFile(join(directory, 'shared', `head-${head.ledger}.json`), 'utf8')).toBe(before);
  expect([...second.ledger.lateCopies.keys()]).toEqual([]);
});

test('no head is written where the archive is not', async () => {
  const { own } = await freshLedger();
  await using _ = own;
  const path = join(directory, 'unmounted', 'evidence', 'head.json');
  const copy = { path, beside: join(directory, 'unmounted', 'clona-archive.json') };
  const ledger = await openLedger({ control: own, headCopies: [copy] }, now);
  const why = ledger.lateCopies.get(path);
  expect(why).toContain(`no archive is at ${join(directory, 'unmounted')}`);
  expect(why).not.toContain('ENOENT');
  await expect(stat(join(directory, 'unmounted'))).rejects.toThrow('ENOENT');
});

test('a tail that was cut off behind the server is found when the ledger is opened', async () => {
  const { ledger, own } = await freshLedger();
  await using _ = own;
  await ledger.append(entry(null), now);
  const table = `clona_${own.site.replaceAll('-', '_')}.ledger`;
  await own.session.query(`alter table ${table} disable trigger all`);
  await own.session.query(`delete from ${table} where sequence = 2`);
  await expect(openLedger({ control: own, headCopies: [] }, now)).rejects.toMatchObject({
    kind: 'evidenceDamaged',
    details: { record: 2 },
  });
});

test('the signing key is readable by its owner alone, and another key does not go on with the chain', async () => {
  const { own } = await freshLedger();
  await using _ = own;
  const keys = join(own.directory, 'keys');
  expect((await stat(join(keys, 'ledger.key'))).mode & 0o777).toBe(0o600);
  await chmod(join(keys, 'ledger.key'), 0o640);
  await expect(openLedger({ control: own, headCopies: [] }, now)).rejects.toMatchObject({
    kind: 'fileUnreadable',
  });
  await rm(keys, { recursive: true });
  await mkdir(keys);
  await expect(openLedger({ control: own, headCopies: [] }, now)).rejects.toMatchObject({
    kind: 'evidenceDamaged',
  });
});
