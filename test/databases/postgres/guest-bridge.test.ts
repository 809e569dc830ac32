import { mkdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { connect } from '../../../src/databases/postgres/connect.ts';
import { openGuestBridge } from '../../../src/databases/postgres/guest-bridge.ts';

const never = async (): Promise<never> => Promise.reject(new Error('nobody asks'));
test('a session that cannot get to the guest is told why', async () => {
  await using bridge = await openGuestBridge(never, '/data/run/.s.PGSQL.5432', new AbortController().signal);
  const address = { host: bridge.folder, port: 5432, database: 'erp', user: 'postgres' };
  await expect(connect({ engine: 'postgres', ...address })).rejects.toMatchObject({
    kind: 'databaseFailed',
    message: expect.stringContaining('nobody answers at /data/run/.s.PGSQL.5432 in the guest: nobody asks'),
  });
});

const isThere = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** No process has this number: it is above the largest that Linux gives (pid_max). */
const deadNumber = 4_194_305;

test('what a killed process left of a bridge goes with the next one; a folder whose socket answers stays', async () => {
  const parent = tmpdir().length > 60 ? '/tmp' : tmpdir();
  const left = join(parent, `clona-b-${deadNumber}-${process.pid}left`);
  const used = join(parent, `clona-b-${deadNumber}-${process.pid}used`);
  await mkdir(left);
  await mkdir(used);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => {
    server.listen(join(used, '.s.PGSQL.5432'), resolve);
  });
  const bridge = await openGuestBridge(never, '/nowhere', new AbortController().signal);
  expect(await isThere(left)).toBe(false);
  expect(await isThere(used)).toBe(true);
  expect(basename(bridge.folder)).toMatch(new RegExp(`^clona-b-${process.pid}-`));
  await bridge[Symbol.asyncDispose]();
  expect(await isThere(bridge.folder)).toBe(false);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  // The next bridge of anybody finds it left, too.
  const next = await openGuestBridge(never, '/nowhere', new AbortController().signal);
  await next[Symbol.asyncDispose]();
  expect(await isThere(used)).toBe(false);
});
