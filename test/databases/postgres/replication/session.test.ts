import { execFileSync } from 'node:child_process';
import { appendFile, chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openReplication } from '../../../../src/databases/postgres/replication/session.ts';
import { startScram } from '../../../../src/databases/postgres/replication/scram.ts';
import { MessageReader } from '../../../../src/databases/postgres/replication/wire.ts';
import { createTestCluster, type TestCluster } from '../../../support/cluster.ts';

const hasOpenssl = ((): boolean => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('a replication session', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await createTestCluster({ major: undefined, password: 'topsecret', tcp: true });
    await using session = await cluster.connect();
    await session.query(`SET password_encryption = 'md5'`);
    await session.query(`CREATE ROLE old LOGIN REPLICATION PASSWORD 'older'`);
    await session.query(`CREATE ROLE plain LOGIN PASSWORD 'plain'`);
    const lines = `host replication old 127.0.0.1/32 md5\nhost replication open 127.0.0.1/32 trust\n`;
    const path = join(cluster.dataDir, 'pg_hba.conf');
    await writeFile(path, lines + (await readFile(path, 'utf8')));
    await session.query(`CREATE ROLE open LOGIN REPLICATION`);
    await cluster.stop();
    await cluster.start();
  });
  afterAll(async () => cluster[Symbol.asyncDispose]());

  const identify = async (
    user: string,
    password?: string,
    sslMode?: 'require',
  ): Promise<string | null | undefined> => {
    const address = { ...cluster.address, host: '127.0.0.1', user, password, sslMode };
    await using session = await openReplication(address);
    return (await session.run('IDENTIFY_SYSTEM'))[0]?.[0]?.[0];
  };

  test.each([
    ['postgres', 'topsecret', 'scram-sha-256'],
    ['old', 'older', 'md5'],
    ['open', undefined, 'trust'],
  ])('user %s gets in by %s (%s)', async (user, password, _how) => {
    expect(await identify(user, password)).toMatch(/^\d+$/);
  });

  test.each([
    ['postgres', 'wrong', 'password authentication failed'],
    ['postgres', undefined, 'none is given'],
    ['plain', 'plain', 'says'],
  ])('user %s with %s is refused and told why', async (user, password, words) => {
    await expect(identify(user, password)).rejects.toMatchObject({
      kind: 'databaseFailed',
      message: expect.stringContaining(words),
    });
  });

  test('an error leaves the session usable', async () => {
    await using session = await openReplication({ ...cluster.address, user: 'postgres' });
    await expect(session.run('BASE_BACKUP (NO_SUCH_OPTION)')).rejects.toMatchObject({
      kind: 'databaseFailed',
    });
    expect((await session.run('IDENTIFY_SYSTEM'))[0]).toHaveLength(1);
  });

  test('a server without TLS is refused where TLS is asked for', async () => {
    await expect(identify('postgres', 'topsecret', 'require')).rejects.toMatchObject({
      message: expect.stringContaining('offers no TLS'),
    });
  });

  test.skipIf(!hasOpenssl)('TLS is used where the server offers it', async () => {
    const [key, certificate] = [join(cluster.dataDir, 'server.key'), join(cluster.dataDir, 'server.crt')];
    const subject = ['-subj', '/CN=localhost', '-days', '2', '-nodes'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', certificate, ...subject],
      {
        stdio: 'ignore',
      },
    );
    if (cluster.runAs !== undefined)
      for (const path of [key, certificate]) await chown(path, cluster.runAs.uid, cluster.runAs.gid);
    await appendFile(join(cluster.dataDir, 'postgresql.conf'), 'ssl = on\n');
    await cluster.stop();
    await cluster.start();
    expect(await identify('postgres', 'topsecret', 'require')).toMatch(/^\d+$/);
  });
});

test('SCRAM-SHA-256 gives the answers of RFC 7677', () => {
  // The RFC's example names its user in the message; PostgreSQL wants that name empty, so only the shape can be the same.
  const exchange = startScram('pencil', 'rOprNGfwEbeRWgbNEkqO');
  expect(exchange.first).toBe('n,,n=,r=rOprNGfwEbeRWgbNEkqO');
  const answer = exchange.answer(
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  );
  expect(answer).toMatch(
    /^c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,p=[A-Za-z0-9+/]{43}=$/,
  );
  expect(() => exchange.verify('v=AAAA')).toThrow('does not know the password');
  expect(() => startScram('pencil', 'mine').answer('r=another,s=AAAA,i=4096')).toThrow('nonce');
});

test('messages are the same in whatever pieces they come, and a taker that is full is asked again', () => {
  const stream = Buffer.concat([
    Buffer.from([0x54, 0, 0, 0, 6, 1, 2]),
    Buffer.from([0x64, 0, 0, 0, 9, 10, 11, 12, 13, 14]),
    Buffer.from([0x63, 0, 0, 0, 4]),
    Buffer.from([0x64, 0, 0, 0, 5, 20]),
  ]);
  for (let piece = 1; piece <= stream.length; piece += 1) {
    const seen: string[] = [];
    let calls = 0;
    const reader = new MessageReader({
      onMessage: (type, body) => seen.push(`${type}${body.toString('hex')}`),
      onCopyBytes: (bytes, isFirst) => {
        calls += 1;
        // Full at every second call; never more than two bytes at once.
        if (calls % 2 === 0) return 0;
        const taken = bytes.subarray(0, 2);
        seen.push(`${isFirst ? '^' : ''}${taken.toString('hex')}`);
        return taken.length;
      },
    });
    for (let at = 0; at < stream.length; at += piece) {
      let rest = stream.subarray(at, at + piece);
      while (rest.length > 0) rest = rest.subarray(reader.read(rest));
    }
    expect(seen.join('')).toBe('T0102^0a0b0c0d0ec^14');
  }
});
