import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32c } from '../../src/archive/crc32c.ts';
import { giveTo, initCluster, type InitOptions } from '../../src/databases/postgres/server-cluster.ts';
import { settingLines } from '../../src/databases/postgres/server-settings.ts';
import { makeServerFolder, testRunAs } from './server-folder.ts';
import { repository } from './toolchain.ts';

const run = promisify(execFile);

/**
 * As `initCluster`, three times cheaper: a cluster that was made once is copied, and gets a system identifier of its
 * own, so that no server takes another one's files for its own.
 */
export async function copyCluster(options: Omit<InitOptions, 'password' | 'user' | 'locale'>): Promise<void> {
  const { dataDir, runAs, settings } = options;
  await run('cp', ['-a', '--reflink=auto', await findTemplate(options), dataDir]);
  if (runAs !== undefined && (await stat(dataDir)).uid !== runAs.uid) await giveTo(dataDir, runAs);
  await giveIdentifier(dataDir);
  await appendFile(join(dataDir, 'postgresql.conf'), settingLines(settings ?? {}));
}

async function findTemplate({ binaries, walSegmentSizeMegabytes }: InitOptions): Promise<string> {
  const built = await stat(join(binaries.binDir, 'postgres'));
  // Whoever changes how clusters are made gets new ones.
  const maker = await readFile(join(repository, 'src', 'databases', 'postgres', 'server-cluster.ts'), 'utf8');
  const what = [binaries.version, binaries.binDir, built.mtimeMs, walSegmentSizeMegabytes, maker].join(' ');
  const mark = createHash('sha256').update(what).digest('hex').slice(0, 12);
  const cache = join(repository, 'node_modules', '.cache', 'clusters');
  const template = join(cache, `${binaries.version}-${mark}`);
  if (await stat(template).catch(() => undefined)) return template;
  // The server's user can reach folders of servers, and perhaps not this one.
  const folder = await makeServerFolder();
  const fresh = `${template}.${randomBytes(6).toString('hex')}`;
  try {
    const dataDir = join(folder, 'data');
    await initCluster({ binaries, dataDir, runAs: testRunAs(), sync: false, walSegmentSizeMegabytes });
    await mkdir(cache, { recursive: true });
    await run('cp', ['-a', dataDir, fresh]);
    // Another process may have been quicker.
    await rename(fresh, template).catch(() => {});
  } finally {
    await rm(folder, { recursive: true, force: true });
    await rm(fresh, { recursive: true, force: true });
  }
  return template;
}

/** Bytes from the beginning of a log segment to the identifier in its first page's header (XLogLongPageHeaderData). */
const inSegment = 24;

/** Writes a new system identifier into the control file, whose checksum follows its fields, and into the log. */
async function giveIdentifier(dataDir: string): Promise<void> {
  const controlFile = join(dataDir, 'global', 'pg_control');
  const control = await readFile(controlFile);
  const old = control.readBigUInt64LE(0);
  const sumAt = findChecksum(control);
  const own = (BigInt(Math.floor(Date.now() / 1000)) << 32n) | BigInt(randomBytes(4).readUInt32LE());
  control.writeBigUInt64LE(own, 0);
  control.writeUInt32LE(crc32c(control.subarray(0, sumAt)), sumAt);
  await writeFile(controlFile, control);
  const log = join(dataDir, 'pg_wal');
  for (const name of await readdir(log)) {
    if (!/^[0-9A-F]{24}$/.test(name)) continue;
    await using segment = await open(join(log, name), 'r+');
    const { buffer } = await segment.read(Buffer.alloc(8), 0, 8, inSegment);
    if (buffer.readBigUInt64LE() !== old) continue;
    buffer.writeBigUInt64LE(own);
    await segment.write(buffer, 0, 8, inSegment);
  }
}

/** The control file has another length in each version. */
function findChecksum(control: Buffer): number {
  for (let at = 200; at < 512; at += 4) {
    if (crc32c(control.subarray(0, at)) === control.readUInt32LE(at)) return at;
  }
  throw new Error('pg_control has no checksum where one is looked for');
}
