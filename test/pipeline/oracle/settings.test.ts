import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAccess } from '../../../src/pipeline/open-access.ts';
import {
  applicationSchemas,
  liveInstance,
  productionAddress,
  requireSettings,
  restoreTarget,
  stagingAddress,
} from '../../../src/pipeline/oracle/settings.ts';
import { bearingName, guardName } from '../../../src/pipeline/oracle/names.ts';
import { loadSite } from '../../../src/site/load.ts';
import type { Site } from '../../../src/site/site.ts';
import { makeTestFolder } from '../../support/machine.ts';

let folder: string;
let count = 0;

beforeAll(async () => {
  folder = await makeTestFolder();
  await mkdir(join(folder, 'archive'));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

async function siteWith(
  oracle: string,
  more = 'user: clona\n  password: env:CLONA_TEST_NONE',
): Promise<Site> {
  count += 1;
  const file = join(folder, `site-${count}.yaml`);
  const text = `name: erp\ndatabase:\n  engine: oracle\n  name: ERP\n  ${more}\n  oracle: ${oracle}\narchive: { location: archive }\n`;
  await writeFile(file, text);
  return loadSite(file);
}

const linux = { dataDisk: '/data', guest: { platform: 'linux' } } as Parameters<typeof restoreTarget>[1];
const windows = { dataDisk: 'D:', guest: { platform: 'windows' } } as Parameters<typeof restoreTarget>[1];

test('a clone gets folders of its own on its data disk, and sees the archive of the site', async () => {
  const site = await siteWith('{ home: /u01, schemas: [erp] }');
  expect(restoreTarget(site, linux)).toEqual({
    platform: 'linux',
    databaseName: 'CLONA',
    instanceName: 'CLONA',
    dataDir: '/data/oradata',
    recoveryDir: '/data/recovery',
    recoveryBytes: 50_000_000_000,
    archiveDirs: [`${join(folder, 'archive')}/`],
    channels: 1,
    memoryBytes: undefined,
  });
  const other = await siteWith(
    String.raw`{ home: 'C:\ora', schemas: [erp], staging: { name: STAGE, instance: ST1, archives: ['\\store\erp'], memory: 2GiB } }`,
  );
  expect(restoreTarget(other, windows)).toMatchObject({
    databaseName: 'STAGE',
    instanceName: 'ST1',
    dataDir: String.raw`D:\oradata`,
    archiveDirs: ['\\\\store\\erp\\'],
    memoryBytes: 2 * 1024 ** 3,
  });
});

test('LIVE and clones are entered by their own services, also where people are kept out', async () => {
  const site = await siteWith('{ home: /u01, schemas: [erp], instance: ERP1 }', 'user: clona');
  const near = { host: '127.0.0.1', port: 4711 };
  expect(liveInstance(site)).toBe('ERP1');
  expect(await productionAddress(site, near)).toMatchObject({
    ...near,
    database: 'ERP',
    user: 'clona',
    oracle: { evenRestricted: true, privilege: 'normal' },
  });
  expect(await stagingAddress(site, near)).toMatchObject({
    ...near,
    database: 'CLONA',
    user: 'clona',
    oracle: { evenRestricted: true, privilege: 'normal' },
  });
});

test.each([
  ['home', '{ schemas: [erp] }', 'user: clona', 'database.oracle.home is missing'],
  ['schemas', '{ home: /u01 }', 'user: clona', 'database.oracle.schemas is missing'],
  ['user', '{ home: /u01, schemas: [erp] }', 'port: 1521', 'database.user is missing'],
])('a missing %s is told before the first step', async (_, oracle, more, said) => {
  const site = await siteWith(oracle, more);
  expect(() => requireSettings(site)).toThrow(said);
});

test('schemas are as the dictionary writes them, by default those of the import', async () => {
  expect(applicationSchemas(await siteWith(`{ home: /u01, schemas: [erp, '"Erp"'] }`))).toEqual([
    'ERP',
    'Erp',
  ]);
  const imported = '{ schemas: [pay], directory: DUMPS, folder: dumps, defaultTablespace: USERS }';
  expect(applicationSchemas(await siteWith(`{ home: /u01, import: ${imported} }`))).toEqual(['PAY']);
});

test('machines of the platform local have no Oracle', async () => {
  const site = await siteWith('{ home: /u01, schemas: [erp] }');
  await expect(openAccess(site)).rejects.toMatchObject({
    kind: 'usage',
    message: 'machines of the platform local have no Oracle',
  });
});

test('names of restore points are what every release takes, and two runs never share one', () => {
  const run = 'promote-20260301-101500-ab12';
  expect(guardName(run)).toBe('CLONA_G_E_20260301_101500_AB12');
  for (const name of [guardName(run), bearingName(run)]) expect(name).toMatch(/^CLONA_[GP]_[A-Z0-9_]{1,22}$/);
  expect(guardName(run)).not.toBe(bearingName(run));
  expect(guardName(run)).not.toBe(guardName('promote-20260301-101500-ab13'));
});
