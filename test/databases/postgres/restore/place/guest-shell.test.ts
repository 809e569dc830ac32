import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { shellOfGuest } from '../../../../../src/databases/postgres/restore/place/guest-shell.ts';
import { createHostGuest } from '../../../../support/host-guest.ts';

test('a guest of any language says in English what clona judges', async () => {
  const shell = shellOfGuest(createHostGuest(tmpdir()), new AbortController().signal);
  expect(await shell.must('printf %s "$LC_ALL"')).toBe('C');
});
