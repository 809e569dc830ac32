import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline as pipe, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import type { OnProgress } from '../../progress.ts';
import { fillTools } from './toolchain-unpack.ts';

/** Two hosts on purpose: who changes a release on one does not change its sums on the other. */
export interface DownloadPlace {
  releases: string;
  checksums: string;
}

const official: DownloadPlace = {
  releases: 'https://get.pulumi.com/releases/sdk',
  checksums: 'https://github.com/pulumi/pulumi/releases/download',
};

/** Silence for so long ends a download. */
const silenceMs = 20_000;

export function releaseUrls(
  version: string,
  system: { platform: string; arch: string },
  place: DownloadPlace = official,
): { archive: string; file: string; checksums: string } | undefined {
  const arch = { x64: 'x64', arm64: 'arm64' }[system.arch];
  const platform = { linux: 'linux', darwin: 'darwin' }[system.platform];
  if (arch === undefined || platform === undefined) return undefined;
  const file = `pulumi-v${version}-${platform}-${arch}.tar.gz`;
  return {
    file,
    archive: `${place.releases}/${file}`,
    checksums: `${place.checksums}/v${version}/pulumi-${version}-checksums.txt`,
  };
}

/** Fetches the release, and keeps it only when its sum is the published one. Returns why it cannot. */
export async function downloadEngine(
  version: string,
  tools: string,
  signal: AbortSignal,
  onProgress: OnProgress,
  place: DownloadPlace = official,
): Promise<string | undefined> {
  const urls = releaseUrls(version, { platform: process.platform, arch: process.arch }, place);
  if (urls === undefined) return `no release for ${process.platform} ${process.arch}`;
  const wanted = findChecksum(await (await request(urls.checksums, signal)).text(), urls.file);
  if (wanted === undefined) return `${urls.checksums} has no sum of ${urls.file}`;
  return fillTools(tools, signal, async (folder) => {
    const response = await request(urls.archive, signal);
    const totalBytes = Number(response.headers.get('content-length') ?? 0) || undefined;
    const hash = createHash('sha256');
    let doneBytes = 0;
    const watch = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        doneBytes += chunk.length;
        onProgress({ step: '', state: 'running', doneBytes, totalBytes });
        done(null, chunk);
      },
    });
    if (response.body === null) throw new Error(`${urls.archive} is empty`);
    await pipeline(Readable.fromWeb(response.body), watch, createGunzip(), extractPrograms(folder), {
      signal,
    });
    const sum = hash.digest('hex');
    if (sum !== wanted) throw new Error(`${urls.archive} has the SHA-256 ${sum}, published is ${wanted}`);
  });
}

async function request(url: string, signal: AbortSignal): Promise<Response> {
  const answer = fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(10 * 60_000)]),
    redirect: 'follow',
  });
  const silence = Promise.withResolvers<never>();
  const timer = setTimeout(() => silence.reject(new Error(`${url}: no answer`)), silenceMs);
  try {
    const response = await Promise.race([answer, silence.promise]);
    if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
    return response;
  } catch (cause) {
    signal.throwIfAborted();
    const reason =
      cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause);
    throw new Error(`${url} cannot be fetched: ${reason}`, { cause });
  } finally {
    clearTimeout(timer);
    answer.catch(() => {});
  }
}

/** Lines of `sha256sum`: the sum, spaces, the file's name. */
export function findChecksum(text: string, file: string): string | undefined {
  for (const line of text.split('\n')) {
    const [, sum, name] = /^([0-9a-f]{64})\s+\*?(\S+)\s*$/.exec(line) ?? [];
    if (name === file) return sum;
  }
  return undefined;
}

/** The programs of a release lie flat in its folder `pulumi/`; anything else in it is not wanted. */
function extractPrograms(folder: string): NodeJS.WritableStream {
  const unpack = extract();
  unpack.on('entry', (header, stream, next) => {
    const name = basename(header.name);
    if (header.type !== 'file' || !/^pulumi[a-z0-9-]*$/.test(name)) {
      stream.on('end', next);
      stream.resume();
      return;
    }
    pipe(stream, createWriteStream(join(folder, name), { mode: 0o755 }), next);
  });
  return unpack;
}
