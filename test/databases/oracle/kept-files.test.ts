import { expect, test } from 'vitest';
import {
  chooseKept,
  parseManifest,
  refuseKeyBesideBackups,
  type KeptManifest,
} from '../../../src/databases/oracle/kept-files.ts';

const kept = (label: string, at: string): KeptManifest => ({ label, at, files: [] });
const three = [
  kept('B3', '2026-03-03T00:00:00Z'),
  kept('B1', '2026-03-01T00:00:00Z'),
  kept('B2', '2026-03-02T00:00:00Z'),
];

test.each([
  ['of that very backup', 'B1', '2026-03-01T00:00:00Z', 'B1'],
  ['else the newest that was there then', 'X', '2026-03-02T12:00:00Z', 'B2'],
  ['else the oldest', 'X', '2026-02-01T00:00:00Z', 'B1'],
  ['of a backup whose end is not known the newest', 'X', null, 'B3'],
])('what is kept is taken %s', (_, label, finishedAt, chosen) => {
  expect(chooseKept(three, { label, finishedAt })?.label).toBe(chosen);
});

test('where nothing is kept nothing is taken', () => {
  expect(chooseKept([], { label: 'B1', finishedAt: null })).toBeUndefined();
});

test.each([
  ['/archive/erp/keys', '/archive/erp/keep', ['/archive/erp']],
  ['/archive/erp', '/archive/erp/keep', ['/archive/erp']],
  ['/secure/../archive/erp/keys', '/archive/erp/keep', ['/archive/erp']],
  ['/mirror/erp/./keys', '/archive/erp/keep', ['/archive/erp', '/mirror/erp/']],
  ['/keep/keys', '/keep', ['/archive/erp']],
  ['/archive', '/archive/erp/keep', ['/archive/erp']],
  ['d:\\Archive\\keys', 'D:\\archive\\keep', ['D:\\archive']],
])('a keystore in %s would lie with the backups', (to, folder, places) => {
  const settings = { folder, keystore: { from: '/etc/wallets', to } };
  expect(() => refuseKeyBesideBackups(settings, places)).toThrow(/with the backups that the keystore opens/);
});

test.each([
  ['/secure/keys', '/archive/erp/keep', ['/archive/erp', '/mirror/erp']],
  ['/archive/erp2', '/archive/erp/keep', ['/archive/erp']],
  ['E:\\keys', 'D:\\archive\\keep', ['D:\\archive']],
])('a keystore in %s lies apart', (to, folder, places) => {
  expect(() => refuseKeyBesideBackups({ folder, keystore: { from: '/x', to } }, places)).not.toThrow();
});

const file = {
  role: 'wallet',
  name: 'ewallet.p12',
  path: '/k/ewallet.p12',
  bytes: 1,
  sha256: 'a'.repeat(64),
};
test.each([
  ['no JSON', 'nothing'],
  ['no files', '{"label":"B1","at":"2026"}'],
  [
    'a name that leads out',
    JSON.stringify({ label: 'B', at: '2', files: [{ ...file, name: '../orapwERP' }] }),
  ],
  ['a role that is none', JSON.stringify({ label: 'B', at: '2', files: [{ ...file, role: 'shadow' }] })],
  ['no checksum', JSON.stringify({ label: 'B', at: '2', files: [{ ...file, sha256: '' }] })],
])('a list of kept files with %s is refused', (_, text) => {
  expect(() => parseManifest(text, '/k/kept.json')).toThrow(/no list of kept files/);
});
