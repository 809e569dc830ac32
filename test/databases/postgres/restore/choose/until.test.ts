import { expect, test } from 'vitest';
import { parseRestoreUntil } from '../../../../../src/databases/postgres/restore/choose/until.ts';

test.each([
  ['position:50331744', { kind: 'position', position: 50_331_744n }],
  ['position:0/3000060', { kind: 'position', position: 50_331_744n }],
  ['position:A/FF', { kind: 'position', position: 0xa_0000_00ffn }],
  ['incarnation:3@0/3000060', { kind: 'incarnation', incarnation: 3, position: 50_331_744n }],
  ["restore-point:it's 100% / @", { kind: 'restorePoint', name: "it's 100% / @" }],
  ['backup:0/3000060', { kind: 'backup', label: '0/3000060' }],
])('--until %s', (text, until) => {
  expect(parseRestoreUntil(text)).toEqual(until);
});

test.each([
  'position:0/',
  'position:0/123456789',
  'position:0/3000060/1',
  'incarnation:x@0/1',
  'restore-point:',
  '',
])('--until %s is refused as a question', (text) => {
  expect(() => parseRestoreUntil(text)).toThrow(expect.objectContaining({ kind: 'questionInvalid' }));
});

test('what may be asked for is said, restore points too', () => {
  expect(() => parseRestoreUntil('yesterday')).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('restore-point:NAME') }),
  );
});
