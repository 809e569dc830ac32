import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { fetchKit, openKit, type FetchKitOptions } from '../../src/kit/fetch.ts';
import { hashKit } from '../../src/kit/hash.ts';
import { defaultKitLimits } from '../../src/kit/limits.ts';
import { signKit } from '../../src/kit/sign.ts';
import { plainKit, tarFiles, writeFolder, zipFiles } from './helpers/archives.ts';
import { startFtpServer } from './helpers/ftp-server.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const signal = new AbortController().signal;
let work: string;
let folder: string;
let hash: string;
let archive: Buffer;

beforeEach(async () => {
  // Proxies of the environment are obeyed; the servers of these tests are on this host.
  vi.stubEnv('NO_PROXY', '127.0.0.1');
  vi.stubEnv('no_proxy', '127.0.0.1');
  work = await mkdtemp(join(tmpdir(), 'clona-fetch-'));
  folder = await writeFolder(join(work, 'vendor'), plainKit);
  hash = (await hashKit(folder, signal)).hash;
  archive = gzipSync(await tarFiles(plainKit, 'erp-2.1/'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(work, { recursive: true, force: true });
});

function fetch(source: string, more: Partial<FetchKitOptions> = {}) {
  return fetchKit({ source, into: join(work, 'kits', 'erp'), signal, ...more });
}

/** What is left in the folder of kits: nothing, when nothing was fetched. */
async function leftovers(): Promise<string[]> {
  return readdir(join(work, 'kits')).catch(() => []);
}

async function listen(server: Server): Promise<AsyncDisposable & { port: number }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port, // it listens on TCP
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a kit comes', () => {
  test('from a folder, as a copy that later changes do not touch', async () => {
    const kit = await fetch(folder);
    await writeFile(join(folder, 'migrate.sql'), 'DROP TABLE item');
    expect(kit).toMatchObject({ hash, signed: false, manifest: { name: 'erp', version: '2.1' } });
    expect((await hashKit(kit.directory, signal)).hash).toBe(hash);
    expect((await stat(join(kit.directory, 'program/bin/erp'))).mode & 0o111).not.toBe(0);
    expect(await openKit(kit.directory, hash, signal)).toMatchObject({ hash });
  });

  test('from an uploaded zip and tar, with the hash of the folder', async () => {
    await writeFile(join(work, 'kit.zip'), zipFiles(plainKit));
    await writeFile(join(work, 'kit.upload'), archive);
    expect(await fetch(join(work, 'kit.zip'))).toMatchObject({ hash });
    expect(await fetch(join(work, 'kit.upload'), { into: join(work, 'kits/other') })).toMatchObject({ hash });
  });

  test('by ftp, with user and password, of which nothing is shown', async () => {
    const options = { user: 'erp', password: 'pa$$ word', files: { '/kits/erp 2.1.tar.gz': archive } };
    await using server = await startFtpServer(options);
    const address = `ftp://erp:pa$$%20word@127.0.0.1:${server.port}/kits/erp%202.1.tar.gz`;
    const kit = await fetch(address, { expectedHash: hash.toUpperCase() });
    expect(kit).toMatchObject({ hash, source: `ftp://127.0.0.1:${server.port}/kits/erp%202.1.tar.gz` });
    expect(server.commands).toContain('RETR /kits/erp 2.1.tar.gz');
    expect(await leftovers()).toEqual(['erp']);
  });

  test('by http when its hash is known, also after being sent on', async () => {
    await using server = await listen(
      createHttp((request, response) => {
        if (request.url === '/old') response.writeHead(302, { location: '/kit.tar.gz' }).end();
        else response.end(archive);
      }),
    );
    const kit = await fetch(`http://127.0.0.1:${server.port}/old?token=secret`, {
      expectedHash: `sha256:${hash}`,
    });
    expect(kit.source).toBe(`http://127.0.0.1:${server.port}/old`);
  });

  test('twice, and the second time is no mistake', async () => {
    await fetch(folder);
    expect(await fetch(folder)).toMatchObject({ hash });
    expect(await leftovers()).toEqual(['erp']);
  });
});

describe('a kit is not fetched, and nothing is left', () => {
  afterEach(async () => {
    const left = await leftovers();
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
  });

  test('by ftp or http without a hash', async () => {
    await expect(fetch('ftp://127.0.0.1:1/kit.zip')).rejects.toMatchObject({ kind: 'usage' });
    await expect(fetch('http://127.0.0.1:1/kit.zip')).rejects.toMatchObject({ kind: 'usage' });
    await expect(fetch('gopher://127.0.0.1/kit.zip')).rejects.toMatchObject({ kind: 'usage' });
  });

  test('when its hash is another', async () => {
    const wrong = fetch(folder, { expectedHash: 'a'.repeat(64) });
    await expect(wrong).rejects.toMatchObject({ kind: 'kitUntrusted', details: { found: hash } });
  });

  test('when the ftp line breaks, the password is wrong or the file is missing', async () => {
    const options = { user: 'erp', password: 'right', files: { '/kit': archive } };
    await using broken = await startFtpServer({ ...options, breakAfterBytes: 100 });
    const from = (port: number, password: string, path = '/kit') =>
      fetch(`ftp://127.0.0.1:${port}${path}`, { user: 'erp', password, expectedHash: hash });
    await expect(from(broken.port, 'right')).rejects.toMatchObject({ kind: 'kitFetchFailed' });
    await using whole = await startFtpServer(options);
    const refused = from(whole.port, 'wr0ng');
    await expect(refused).rejects.toMatchObject({ kind: 'kitFetchFailed' });
    await expect(refused).rejects.not.toThrow(/wr0ng/);
    await expect(from(whole.port, 'right', '/none')).rejects.toMatchObject({ kind: 'kitFetchFailed' });
  });

  test('when the server answers with an error, too much, or breaks off', async () => {
    const answers: Record<string, RequestListener> = {
      '/none': (_request, response) => void response.writeHead(404).end(),
      '/large': (_request, response) => void response.writeHead(200, { 'content-length': '9999999' }).end(),
      '/cut': (_request, response) => {
        response.writeHead(200, { 'content-length': String(archive.length) });
        response.write(archive.subarray(0, 50), () => response.destroy());
      },
      '/round': (_request, response) => void response.writeHead(302, { location: '/round' }).end(),
      '/file': (_request, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    };
    await using server = await listen(
      createHttp((request, response) => answers[request.url ?? '']?.(request, response)),
    );
    const limits = { ...defaultKitLimits, downloadBytes: 1_000_000 };
    const from = (path: string) =>
      fetch(`http://127.0.0.1:${server.port}${path}`, { expectedHash: hash, limits });
    await expect(from('/none')).rejects.toThrow('answers 404');
    await expect(from('/large')).rejects.toThrow('larger than 1000000 bytes');
    await expect(from('/cut')).rejects.toMatchObject({ kind: 'kitFetchFailed' });
    await expect(from('/round')).rejects.toThrow('sends on more than 5 times');
    await expect(from('/file')).rejects.toThrow('which is refused');
  });

  test('when the server is silent for too long, or somebody stops it', async () => {
    const stop = new AbortController();
    const asked = Promise.withResolvers<void>();
    await using server = await listen(createHttp(() => asked.resolve()));
    const address = `http://127.0.0.1:${server.port}/`;
    await expect(fetch(address, { expectedHash: hash, idleMs: 50 })).rejects.toThrow(
      'nothing came for 50 ms',
    );
    const stopped = fetch(address, { expectedHash: hash, signal: stop.signal });
    await asked.promise;
    stop.abort(new Error('stopped by the test'));
    await expect(stopped).rejects.toThrow(/stopped by the test|abort/i);
  });

  test('when kit.yaml is wrong', async () => {
    await writeFile(join(folder, 'kit.yaml'), 'name: erp\n');
    await expect(fetch(folder)).rejects.toThrow('kit.yaml:1: version: is missing (and 1 more)');
  });

  test('when it is not there', async () => {
    await expect(fetch(join(work, 'none'))).rejects.toMatchObject({ kind: 'kitFetchFailed' });
  });
});

test('what is at the place already is not overwritten', async () => {
  await mkdir(join(work, 'kits/erp'), { recursive: true });
  await writeFile(join(work, 'kits/erp/precious'), 'x');
  await expect(fetch(folder)).rejects.toMatchObject({ kind: 'usage' });
  expect(await readFile(join(work, 'kits/erp/precious'), 'utf8')).toBe('x');
  expect(await leftovers()).toEqual(['erp']);
});

function pemOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

describe('a signature', () => {
  const vendor = generateKeyPairSync('ed25519');
  const publicKey = pemOf(vendor.publicKey);

  async function sign(): Promise<void> {
    await writeFile(join(work, 'key.pem'), vendor.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await signKit(folder, join(work, 'key.pem'), signal);
  }

  test('of the vendor is taken, and the hash stays', async () => {
    await sign();
    expect(await fetch(folder, { publicKey })).toMatchObject({ signed: true, hash });
  });

  test('is refused when it is missing, of another key, or the kit was changed after it', async () => {
    await expect(fetch(folder, { publicKey })).rejects.toThrow('the kit is not signed');
    await sign();
    const other = pemOf(generateKeyPairSync('ed25519').publicKey);
    await expect(fetch(folder, { publicKey: other })).rejects.toMatchObject({ kind: 'kitUntrusted' });
    await writeFile(join(folder, 'migrate.sql'), 'DROP TABLE item');
    await expect(fetch(folder, { publicKey })).rejects.toMatchObject({ kind: 'kitUntrusted' });
    const wrong = pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey);
    await expect(fetch(folder, { publicKey: wrong })).rejects.toMatchObject({ kind: 'usage' });
  });

  test.skipIf(!hasOpenssl)('made by openssl as the documentation says is taken', async () => {
    await writeFile(join(work, 'key.pem'), vendor.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await writeFile(join(work, 'text'), `clona-kit sha256:${hash}`);
    const args = ['pkeyutl', '-sign', '-rawin', '-inkey', 'key.pem', '-in', 'text', '-out', 'vendor/kit.sig'];
    expect(spawnSync('openssl', args, { cwd: work }).status).toBe(0);
    expect(await fetch(folder, { publicKey })).toMatchObject({ signed: true });
  });
});

describe.skipIf(!hasOpenssl)('by https and ftps', () => {
  let certificates: string;
  beforeAll(async () => {
    certificates = await mkdtemp(join(tmpdir(), 'clona-ca-'));
    const openssl = (...args: string[]): void => {
      const done = spawnSync('openssl', args, { cwd: certificates, encoding: 'utf8' });
      if (done.status !== 0) throw new Error(done.stderr);
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=test CA',
      '-days',
      '2',
    );
    openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
    await writeFile(join(certificates, 'san'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'san', '-days', '2'];
    openssl('x509', '-req', '-in', 'server.csr', ...by, '-out', 'server.pem');
    openssl('req', ...key, '-keyout', 'elsewhere.key', '-out', 'elsewhere.csr', '-subj', '/CN=elsewhere');
    await writeFile(join(certificates, 'san'), 'subjectAltName=DNS:elsewhere.example\n');
    openssl('x509', '-req', '-in', 'elsewhere.csr', ...by, '-out', 'elsewhere.pem');
  });
  afterAll(async () => {
    await rm(certificates, { recursive: true, force: true });
  });

  async function serve(answer: RequestListener) {
    const read = (name: string) => readFile(join(certificates, name));
    return listen(createHttps({ key: await read('server.key'), cert: await read('server.pem') }, answer));
  }

  test('a kit comes without a hash from a server whose authority is trusted, and from no other', async () => {
    await using server = await serve((_request, response) => void response.end(archive));
    const ca = await readFile(join(certificates, 'ca.pem'), 'utf8');
    const address = `https://127.0.0.1:${server.port}/kit.tar.gz`;
    expect(await fetch(address, { ca })).toMatchObject({ hash });
    await expect(fetch(address, { into: join(work, 'b') })).rejects.toMatchObject({ kind: 'kitFetchFailed' });
  });

  test('user and password go along, but not to another server, and never on to http', async () => {
    const seen: (string | undefined)[] = [];
    await using other = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end(archive);
    });
    await using server = await serve((request, response) => {
      seen.push(request.headers.authorization);
      const to = request.url === '/plain' ? 'http://127.0.0.1/' : `https://127.0.0.1:${other.port}/`;
      response.writeHead(302, { location: to }).end();
    });
    const ca = await readFile(join(certificates, 'ca.pem'), 'utf8');
    const options = { ca, user: 'erp', password: 'secret' };
    expect(await fetch(`https://127.0.0.1:${server.port}/kit`, options)).toMatchObject({ hash });
    expect(seen).toEqual([`Basic ${Buffer.from('erp:secret').toString('base64')}`, undefined]);
    const down = fetch(`https://127.0.0.1:${server.port}/plain`, { ...options, into: join(work, 'b') });
    await expect(down).rejects.toThrow('which is refused');
  });

  async function serveFtp(name = 'server', port = 0) {
    const read = (file: string) => readFile(join(certificates, file));
    const tls = { key: await read(`${name}.key`), cert: await read(`${name}.pem`), implicit: port === 990 };
    const files = { '/kit.tar.gz': archive };
    return startFtpServer({ files, user: 'erp', password: 'secret', tls, port });
  }

  test('a kit comes by ftps without a hash, and neither password nor kit goes in the clear', async () => {
    await using server = await serveFtp();
    const ca = await readFile(join(certificates, 'ca.pem'), 'utf8');
    const address = `ftps://127.0.0.1:${server.port}/kit.tar.gz`;
    expect(await fetch(address, { ca, user: 'erp', password: 'secret' })).toMatchObject({ hash });
    expect(server.commands[0]).toBe('AUTH TLS');
    expect(server.commands).toContain('PROT P');
  });

  // The port says that TLS begins with the first byte, and below 1024 not everybody may listen.
  test.skipIf(process.getuid?.() !== 0)(
    'a kit comes by implicit ftps, the port of which is 990',
    async (context) => {
      await using server = await serveFtp('server', 990).catch(() => null);
      if (server === null) return context.skip('port 990 is taken');
      const ca = await readFile(join(certificates, 'ca.pem'), 'utf8');
      const address = 'ftps://127.0.0.1:990/kit.tar.gz';
      expect(await fetch(address, { ca, user: 'erp', password: 'secret' })).toMatchObject({ hash });
      expect(server.commands).not.toContain('AUTH TLS');
      expect(server.commands).toContain('PROT P');
    },
  );

  test.each([
    ['an authority that nobody trusts', 'server', '127.0.0.1', false],
    ['the certificate of another host', 'elsewhere', '127.0.0.1', true],
  ])('no kit comes by ftps with %s, and the password is not sent', async (_what, name, host, trusted) => {
    await using server = await serveFtp(name);
    const ca = trusted ? await readFile(join(certificates, 'ca.pem'), 'utf8') : undefined;
    const address = `ftps://${host}:${server.port}/kit.tar.gz`;
    const fetched = fetch(address, { ca, user: 'erp', password: 'secret' });
    await expect(fetched).rejects.toMatchObject({ kind: 'kitFetchFailed' });
    expect(server.commands.filter((command) => /^(USER|PASS)/.test(command))).toEqual([]);
    expect(await leftovers()).toEqual([]);
  });
});
