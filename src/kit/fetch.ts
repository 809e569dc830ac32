import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClonaError } from '../errors.ts';
import { silent, withProgress, type OnProgress } from '../progress.ts';
import { checkKit, type Kit } from './check.ts';
import { download, showAddress } from './download.ts';
import { parseKitHash } from './hash.ts';
import { defaultKitLimits, type KitLimits } from './limits.ts';
import { manifestError } from './read-manifest.ts';
import { checkSignature } from './signature.ts';
import { readTree } from './tree.ts';
import { unpackArchive } from './unpack.ts';
import { TreeWriter } from './writer.ts';

export interface FetchKitOptions {
  /** A folder, an archive file (zip, tar, tar.gz, tar.zst), or an https, http, ftp or ftps address of an archive. */
  source: string;
  /** Hash of the kit (not of the archive), needed for http and ftp. */
  expectedHash?: string | undefined;
  /** PEM of the vendor's ed25519 key; then an unsigned kit is refused. */
  publicKey?: string | undefined;
  /** Folder the kit will be in; must not exist, or be what an earlier fetch of the same kit left. */
  into: string;
  user?: string | undefined;
  password?: string | undefined;
  /** PEM of the authorities to trust for https and ftps, instead of the system's. */
  ca?: string | undefined;
  limits?: KitLimits | undefined;
  /** How long a server may be silent; default one minute. */
  idleMs?: number | undefined;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
}

export interface FetchedKit extends Kit {
  /** Without user, password and query. */
  source: string;
  signed: boolean;
}

/**
 * Brings a kit into a folder of ours, checks it there, and only then gives it its name: what is at `into` is
 * whole, checked and is what was hashed. Nothing is left behind by a failure.
 */
export async function fetchKit(options: FetchKitOptions): Promise<FetchedKit> {
  const expected = options.expectedHash === undefined ? undefined : parseKitHash(options.expectedHash);
  const source = parseSource(options.source);
  if (source.kind === 'address' && !source.trusted && expected === undefined) {
    throw new ClonaError(
      'usage',
      `${showAddress(source.address)} proves nothing of what it sends: give the kit's hash`,
      {
        hint: 'set kit.sha256 in the site file, or give --hash; https needs none',
      },
    );
  }
  const into = resolve(options.into);
  const work = `${into}.partial`;
  await rm(work, { recursive: true, force: true });
  await mkdir(dirname(into), { recursive: true });
  await mkdir(join(work, 'kit'), { recursive: true });
  try {
    await withProgress(options.onProgress ?? silent, 'fetch kit', () => bring(source, work, options));
    const kit = await examine(join(work, 'kit'), expected, options);
    await takePlace(join(work, 'kit'), into, kit.hash, options.signal);
    const shown = source.kind === 'address' ? showAddress(source.address) : source.path;
    return { ...kit, directory: into, source: shown, signed: options.publicKey !== undefined };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

type Source = { kind: 'path'; path: string } | { kind: 'address'; address: URL; trusted: boolean };

function parseSource(text: string): Source {
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text)) return { kind: 'path', path: resolve(text) };
  if (!URL.canParse(text))
    throw new ClonaError('usage', 'the address of the kit is not one that can be read');
  const address = new URL(text);
  if (address.protocol === 'file:') return { kind: 'path', path: fileURLToPath(address) };
  if (!['https:', 'http:', 'ftp:', 'ftps:'].includes(address.protocol)) {
    throw new ClonaError('usage', `a kit cannot be fetched by ${address.protocol.slice(0, -1)}`, {
      hint: 'use a folder, an archive file, or an https, http, ftp or ftps address',
    });
  }
  const trusted = address.protocol === 'https:' || address.protocol === 'ftps:';
  return { kind: 'address', address, trusted };
}

async function bring(source: Source, work: string, options: FetchKitOptions): Promise<void> {
  const { signal, limits = defaultKitLimits } = options;
  const directory = join(work, 'kit');
  if (source.kind === 'path') {
    const found = await stat(source.path).catch(() => undefined);
    if (found === undefined) throw new ClonaError('kitFetchFailed', `there is no kit at ${source.path}`);
    if (found.isDirectory()) await copyFolder(source.path, directory, limits, signal);
    else await unpackArchive(source.path, directory, limits, signal);
    return;
  }
  const { address } = source;
  const archive = join(work, 'archive');
  const user = address.username === '' ? options.user : decodeURIComponent(address.username);
  const password = address.password === '' ? options.password : decodeURIComponent(address.password);
  const bare = new URL(address);
  bare.username = '';
  bare.password = '';
  await download(bare, archive, {
    user,
    password,
    ca: options.ca,
    maxBytes: limits.downloadBytes,
    idleMs: options.idleMs ?? 60_000,
    signal,
    onProgress: options.onProgress ?? silent,
  });
  await unpackArchive(archive, directory, limits, signal);
}

async function copyFolder(from: string, to: string, limits: KitLimits, signal: AbortSignal): Promise<void> {
  const tree = await readTree(from, signal, limits);
  const writer = new TreeWriter(to, limits, signal);
  for (const { path, mode, link } of tree.entries) {
    if (link === undefined)
      await writer.addFile(path, mode === '100755' ? 0o755 : 0o644, createReadStream(join(from, path)));
    else writer.addLink(path, link);
  }
  await writer.finish();
}

async function examine(
  directory: string,
  expected: string | undefined,
  options: FetchKitOptions,
): Promise<Kit> {
  const check = await checkKit(directory, options.signal);
  if (expected !== undefined && check.hash !== expected) {
    throw new ClonaError('kitUntrusted', `the kit has hash ${check.hash}, expected was ${expected}`, {
      hint: 'do not install it; compare with the vendor, who changed what',
      details: { expected, found: check.hash },
    });
  }
  if (options.publicKey !== undefined) await checkSignature(directory, check.hash, options.publicKey);
  if (check.manifest === null || !check.ok) throw manifestError(check.problems);
  const { manifest, hash, files, bytes, warnings } = check;
  return { directory, manifest, hash, files, bytes, warnings };
}

/** The same kit fetched twice is fine; another kit, or anything else, at that place is not ours to overwrite. */
async function takePlace(from: string, into: string, hash: string, signal: AbortSignal): Promise<void> {
  const there = await stat(into).catch(() => undefined);
  if (there !== undefined) {
    const earlier = await checkKit(into, signal).catch(() => undefined);
    if (earlier?.hash === hash) return;
    throw new ClonaError('usage', `${into} exists already and is not this kit`, {
      hint: 'name a folder that does not exist',
    });
  }
  await rename(from, into);
}

/** Reads a kit that lies in a folder already, as a durable run does when it goes on. */
export async function openKit(directory: string, expectedHash: string, signal: AbortSignal): Promise<Kit> {
  const options = { source: directory, into: directory, signal };
  return examine(directory, parseKitHash(expectedHash), options);
}

/** Text of the public key file of the site. */
export async function readKeyFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ClonaError('fileUnreadable', `cannot read the public key for kits: ${path}`, { cause });
  }
}
