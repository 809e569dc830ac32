import { mkdir, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backendFolder, readLockFiles } from '../../../src/machines/pulumi/lock-files.ts';
import { breakStackLock, destroyStaging } from '../../../src/machines/pulumi/staging.ts';
import type { StagingOptions } from '../../../src/machines/pulumi/staging-options.ts';
import { openStack } from '../../../src/machines/pulumi/workspace.ts';
import { makeTestFolder } from '../../support/machine.ts';
import { findTestToolchain } from '../../support/toolchain.ts';

const toolchain = await findTestToolchain();
const missing = toolchain === undefined ? ' (Pulumi is not here, set CLONA_TOOLCHAIN)' : '';

test.each([
  ['file:///srv/state', '/srv/state'],
  ['file:///srv/sta%20te?create_dir=true', '/srv/sta te'],
  ['file://./.clona/pulumi?create_dir=true', '/site/.clona/pulumi'],
  ['file://state', '/site/state'],
  ['file://~/state', '/home/amra/state'],
  ['s3://bucket', undefined],
  ['https://api.pulumi.com', undefined],
  ['postgres://clona:secret@db/state', undefined],
])('the folder of the backend %s is %s', (backend, folder) => {
  expect(backendFolder(backend, '/site', '/home/amra')).toBe(folder);
});

describe.skipIf(toolchain === undefined)(`a lock on a stack${missing}`, () => {
  let folder: string;
  let options: StagingOptions;
  beforeAll(async () => {
    folder = await makeTestFolder();
    options = { folder, name: 'staging', signal: new AbortController().signal, toolchain };
    await openStack('staging', async () => {}, options);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function lock(host: string, pid: number): Promise<void> {
    const place = join(folder, '.clona/pulumi/.pulumi/locks/organization/clona/staging');
    await mkdir(place, { recursive: true });
    const owner = { pid, username: 'amra', hostname: host, timestamp: '2026-01-02T03:04:05Z' };
    await writeFile(join(place, 'left.json'), JSON.stringify(owner));
  }

  test.for<[string, string, number, boolean]>([
    ['of a process on another host', 'laptop-7', 4242, false],
    ['of a process here that is gone', hostname(), 999_999_999, true],
    ['of a process here that is at work', hostname(), process.pid, false],
  ])('%s is explained, and cleared by --break-lock alone', async ([, host, pid, dead]) => {
    await lock(host, pid);
    await expect(destroyStaging(options)).rejects.toMatchObject({
      kind: 'locked',
      exitCode: 7,
      message: `the stack "staging" is locked by process ${pid} of amra on ${host}, since 2026-01-02T03:04:05Z`,
      hint: expect.stringContaining(dead ? 'that process is gone' : 'wait for it'),
      details: { dead },
    });
    const said: (string | undefined)[] = [];
    await breakStackLock({ ...options, onProgress: ({ detail }) => void said.push(detail) });
    expect(said).toEqual([`process ${pid} of amra on ${host}, since 2026-01-02T03:04:05Z`]);
    expect(await readLockFiles(join(folder, '.clona/pulumi'))).toEqual([]);
    await destroyStaging(options);
  });
});
