import { availableParallelism } from 'node:os';
import type { BackupHeader, ServerRequirements } from '../../archive/format.ts';
import { nameDevice, resolveDevice } from '../../archive/devices.ts';
import { draftBackup, listBackups, type Archive } from '../../archive/repository.ts';
import { ClonaError } from '../../errors.ts';
import { silent, withProgress } from '../../progress.ts';
import { readLogWork, readRequirements, readServerFacts, type ServerFacts } from './backup-facts.ts';
import type { BackupOptions, CopiedFacts, CopyContext } from './backup-context.ts';
import { copyHot } from './backup-hot.ts';
import { copyManaged } from './backup-managed.ts';
import { copyQuiesced } from './backup-quiesced.ts';
import { connect } from './connect.ts';

/**
 * Takes a backup of a running server into the archive. Whatever fails or is aborted: the server leaves backup mode (it
 * ends with the session) and goes on, the archive has no backup more than before.
 */
export async function takeBackup(options: BackupOptions): Promise<BackupHeader> {
  const { address, archive, kind, onProgress = silent } = options;
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const startedAt = options.now();
  const label = options.label ?? (await findFreeLabel(archive, makeLabel(startedAt, kind)));
  await using session = await connect(address, signal);
  const facts = await readServerFacts(session);
  checkSource(facts, archive);
  const before = await readLogWork(session);
  await using draft = await draftBackup(archive, label);
  const context: CopyContext = {
    address,
    session,
    facts,
    folder: draft.folder,
    label,
    options,
    workers: options.workers ?? Math.min(8, availableParallelism()),
    level: options.compressionLevel ?? 3,
    signal,
    onProgress,
  };
  const [copied, requirements] = await copyAndAsk(kind, context, stop);
  const after = await readLogWork(session);
  const device = nameDevice(await resolveDevice(archive.folder));
  const header = makeHeader(context, { ...copied, device }, requirements, startedAt, {
    fullPageImages: Math.max(0, after.fullPageImages - before.fullPageImages),
    logBytes: Math.max(0, after.logBytes - before.logBytes),
  });
  const by = options.takenBy;
  await draft.publish(header, by === undefined ? undefined : { by, at: options.now() });
  return header;
}

/**
 * What a server must offer is asked while the files are copied, on sessions of their own: there may be hundreds of databases.
 * When one of the two fails the other is stopped, and waited for.
 */
async function copyAndAsk(
  kind: BackupOptions['kind'],
  context: CopyContext,
  stop: AbortController,
): Promise<[CopiedFacts, ServerRequirements]> {
  const copying = withProgress(
    context.onProgress,
    'copying the cluster',
    async () => copyCluster(kind, context),
    (found) =>
      `${mebibytes(sum(found.archives, 'rawBytes'))} MiB in ${mebibytes(sum(found.archives, 'compressedBytes'))} MiB`,
  );
  const asking = askRequirements(context);
  for (const work of [copying, asking]) work.catch((error: unknown) => stop.abort(error));
  await Promise.allSettled([copying, asking]);
  // The first reason is the signal's, and so the other's.
  return Promise.all([copying, asking]);
}

async function askRequirements({ address, signal }: CopyContext): Promise<ServerRequirements> {
  await using session = await connect(address, signal);
  return await readRequirements(address, session, signal);
}

async function copyCluster(kind: BackupOptions['kind'], context: CopyContext): Promise<CopiedFacts> {
  switch (kind) {
    case 'managed':
      return copyManaged(context);
    case 'hot':
      return copyHot(context);
    case 'quiesced':
      return copyQuiesced(context);
  }
}

function makeHeader(
  context: CopyContext,
  copied: CopiedFacts & { device: string },
  requirements: ServerRequirements,
  startedAt: Date,
  extraRedo: BackupHeader['extraRedo'],
): BackupHeader {
  const { address, facts, label, options } = context;
  return {
    format: 1,
    label,
    kind: options.kind,
    systemIdentifier: facts.systemIdentifier,
    database: address.database,
    serverVersion: facts.serverVersion,
    ...copied,
    startedAt: startedAt.toISOString(),
    finishedAt: options.now().toISOString(),
    rawBytes: sum(copied.archives, 'rawBytes'),
    compressedBytes: sum(copied.archives, 'compressedBytes'),
    encryption: null,
    requirements,
    extraRedo,
  };
}

function checkSource(facts: ServerFacts, archive: Archive): void {
  if (facts.systemIdentifier !== archive.header.systemIdentifier) {
    throw new ClonaError(
      'archiveForeign',
      `the archive in ${archive.folder} belongs to the database with system identifier ${archive.header.systemIdentifier}, this one has ${facts.systemIdentifier}`,
      { hint: 'a backup goes only into the archive of its own database' },
    );
  }
  if (facts.serverVersion < 150_000) {
    throw new ClonaError(
      'databaseVersion',
      `PostgreSQL ${Math.floor(facts.serverVersion / 10_000)} is not supported`,
      {
        hint: '15 to 18 are',
      },
    );
  }
}

/** Sorts by time: 20260721T101500Z-managed. */
function makeLabel(at: Date, kind: string): string {
  return `${at.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '')}-${kind}`;
}

function sum(archives: BackupHeader['archives'], field: 'rawBytes' | 'compressedBytes'): number {
  return archives.reduce((total, archive) => total + archive[field], 0);
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

/** The second one of the same second is `…-2`; only a label that somebody chose may be refused. */
async function findFreeLabel(archive: Archive, label: string): Promise<string> {
  const taken = new Set((await listBackups(archive)).map((backup) => backup.label));
  let free = label;
  for (let n = 2; taken.has(free); n += 1) free = `${label}-${n}`;
  return free;
}
