import { afterEach, expect, test, vi } from 'vitest';
import { resolveDatabaseAddress } from '../../src/site/address.ts';
import { parseSite } from '../../src/site/parse.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

async function address(database: string) {
  const parsed = parseSite(`name: erp\narchive: { location: a }\ndatabase: ${database}`, '/site');
  if ('mistakes' in parsed) throw new Error(JSON.stringify(parsed.mistakes));
  return resolveDatabaseAddress(parsed.site.database);
}

test('without an address the live machine says where its database is', async () => {
  expect(await address('{ engine: postgres }')).toBeUndefined();
});

test('an address comes from its parts, or from one secret URL', async () => {
  vi.stubEnv('CLONA_TEST_URL', 'postgresql://back%40up:p%2Fw@db.example:6000/erp');
  vi.stubEnv('CLONA_TEST_PASSWORD', 'p/w');
  const expected = {
    engine: 'postgres',
    host: 'db.example',
    port: 6000,
    database: 'erp',
    user: 'back@up',
    password: 'p/w',
  };
  expect(await address('{ url: env:CLONA_TEST_URL }')).toEqual(expected);
  expect(
    await address(
      '{ host: db.example, port: 6000, name: erp, user: back@up, password: env:CLONA_TEST_PASSWORD }',
    ),
  ).toEqual(expected);
});

test('a URL may name the folder of a Unix socket', async () => {
  vi.stubEnv('CLONA_TEST_URL', 'postgresql:///erp?host=/run/postgresql&user=erp');
  expect(await address('{ url: env:CLONA_TEST_URL }')).toMatchObject({
    host: '/run/postgresql',
    user: 'erp',
  });
});

test.each([
  ['hunter2', 'is no URL'],
  ['https://hunter2@db/erp', 'is of no known kind'],
  ['oracle://erp:hunter2@db/erp', 'is not for the engine postgres'],
  ['postgresql:///hunter2', 'names no host'],
  ['postgresql://erp:hunter2%zz@db/erp', 'has a % that is no %XX'],
])('a wrong URL is refused without repeating it: %s', async (url, reason) => {
  vi.stubEnv('CLONA_TEST_URL', url);
  const refused = address('{ url: env:CLONA_TEST_URL }');
  await expect(refused).rejects.toThrow(reason);
  await expect(refused).rejects.not.toThrow('hunter2');
});
