import { readdir, readFile, realpath, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../control/files.ts';
import type { DatabaseAddress } from '../databases/database.ts';
import { connect } from '../databases/postgres/connect.ts';
import { findLocalDataDir } from '../databases/postgres/cluster-source.ts';
import { readSpoolFolder } from '../databases/postgres/log-spool.ts';
import { ClonaError } from '../errors.ts';
import type { Area } from '../retention/zone.ts';
import type { Site } from '../site/site.ts';

/** What is remembered of an area: enough for a trend of some hours at one sample a minute. */
const sampleCount = 360;
const sampleAgeMs = 6 * 3_600_000;

type Samples = Record<string, { atMs: number; usedBytes: number }[]>;

interface Place {
  name: string;
  folder: string;
  quotaBytes: number | undefined;
}

/**
 * How full the archive, its mirror, the database's log area and its spool are, each with what is remembered of it
 * (R12). Areas on one disk are one area, named by the first. The log area of a server on another host is left out.
 */
export async function measureAreas(
  site: Site,
  address: DatabaseAddress | undefined,
  signal: AbortSignal,
): Promise<Area[]> {
  const { location, mirror, zone } = site.archive;
  const places: Place[] = [
    { name: 'archive', folder: location, quotaBytes: zone.archiveQuota },
    ...(mirror === undefined ? [] : [{ name: 'mirror', folder: mirror, quotaBytes: undefined }]),
    ...(address === undefined ? [] : await findLogPlaces(site, address, signal)),
  ];
  const samples = await readSamples(site);
  const areas: Area[] = [];
  const disks = new Set<number>();
  for (const { name, folder, quotaBytes } of places) {
    const device = await stat(folder).then(
      ({ dev }) => dev,
      () => undefined,
    );
    if (device === undefined || (quotaBytes === undefined && disks.has(device))) continue;
    if (quotaBytes === undefined) disks.add(device);
    const size =
      quotaBytes === undefined ? await measureDisk(folder) : await measureFolder(folder, quotaBytes);
    areas.push({ name, ...size, history: samples[name] ?? [] });
  }
  if (address?.engine !== 'oracle') return areas;
  const { measureRecoveryArea } = await import('../databases/oracle/recovery-area.ts');
  const area = await measureRecoveryArea(address, signal);
  return area === null ? areas : [...areas, { name: 'log', ...area, history: samples['log'] ?? [] }];
}

/** A server that does not answer hides its own areas, not the archive. */
export async function measureOrLess(
  site: Site,
  address: DatabaseAddress | undefined,
  signal: AbortSignal,
): Promise<Area[]> {
  return measureAreas(site, address, signal).catch(async (error: unknown) => {
    signal.throwIfAborted();
    if (!(error instanceof ClonaError)) throw error;
    return measureAreas(site, undefined, signal);
  });
}

async function findLogPlaces(site: Site, address: DatabaseAddress, signal: AbortSignal): Promise<Place[]> {
  if (address.engine === 'oracle') return [];
  const dataDir = await findLocalDataDir(address, signal);
  if (dataDir === undefined) return [];
  await using session = await connect(address, signal, { applicationName: 'clona zone' });
  const spool = await readSpoolFolder(session);
  const log = await realpath(join(dataDir, 'pg_wal'));
  return [
    { name: 'log', folder: log, quotaBytes: site.archive.zone.logQuota },
    ...(spool === null ? [] : [{ name: 'spool', folder: spool, quotaBytes: undefined }]),
  ];
}

/** As df says it: root's reserve is no room. */
async function measureDisk(folder: string): Promise<{ totalBytes: number; usedBytes: number }> {
  const { blocks, bfree, bavail, bsize } = await statfs(folder);
  const used = blocks - bfree;
  return { totalBytes: (used + bavail) * bsize, usedBytes: used * bsize };
}

async function measureFolder(
  folder: string,
  totalBytes: number,
): Promise<{ totalBytes: number; usedBytes: number }> {
  // A quota is no promise of the disk: others may have filled it.
  const { bavail, bsize } = await statfs(folder);
  let usedBytes = 0;
  for (const name of await readdir(folder, { recursive: true })) {
    // What is renamed or removed meanwhile takes nothing.
    const found = await stat(join(folder, name)).catch(() => undefined);
    usedBytes += found?.isFile() === true ? found.blocks * 512 : 0;
  }
  return { totalBytes: Math.min(totalBytes, usedBytes + bavail * bsize), usedBytes };
}

function samplesFile({ control }: Site): string {
  return join(control.directory, 'zone-samples.json');
}

/** A trend is no fact that anything is decided by: a file that cannot be read is begun anew. */
async function readSamples(site: Site): Promise<Samples> {
  try {
    return JSON.parse(await readFile(samplesFile(site), 'utf8')) as Samples;
  } catch {
    return {};
  }
}

export async function rememberAreas(site: Site, areas: readonly Area[], nowMs: number): Promise<void> {
  const samples: Samples = {};
  for (const { name, usedBytes, history } of areas) {
    const kept = history.filter(({ atMs }) => atMs > nowMs - sampleAgeMs).slice(1 - sampleCount);
    samples[name] = [...kept, { atMs: nowMs, usedBytes }];
  }
  await replaceFile(samplesFile(site), JSON.stringify(samples), 0o600);
}
