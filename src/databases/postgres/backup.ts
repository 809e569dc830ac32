import { availableParallelism } from 'node:os';
import type { BackupHeader, ServerRequirements } from '../../archive/format.ts';
import { nameDevice, resolveDevice } from '../../archive/devices.ts';
import { draftBackup } from '../../archive/repository.ts';
import { silent, withProgress } from '../../progress.ts';
import { readLogWork, readRequirements, readServerFacts } from './backup-facts.ts';
import type { BackupKind, BackupOptions, CopiedFacts, CopyContext } from './backup-context.ts';
import { checkSource, findFreeLabel, makeHeader, makeLabel, mebibytes, sum } from './backup-header.ts';
import { copyHot } from './backup-hot.ts';
import { copyManaged } from './backup-managed.ts';
import { copyQuiesced } from './backup-quiesced.ts';
import { connect, type Connection } from './connect.ts';

/**
 * Takes a backup of a running server into the archive. Whatever fails or is aborted: the server leaves backup mode (it
 * ends with the session) and goes on, the archive has no backup more than before.
 */
export async function takeBackup(options: BackupOptions): Promise<BackupHeader> {
  const { address, archive, onProgress = silent } = options;
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const startedAt = options.now();
  await using session = await connect(address, signal);
  const facts = await readServerFacts(session);
  const kind = options.kind ?? (await chooseKind(session));
  const label = options.label ?? (await findFreeLabel(archive, makeLabel(startedAt, kind)));
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
  const header = makeHeader(copied, {
    label,
    kind,
    systemIdentifier: facts.systemIdentifier,
    database: address.database,
    serverVersion: facts.serverVersion,
    device: nameDevice(await resolveDevice(archive.folder)),
    startedAt: startedAt.toISOString(),
    finishedAt: options.now().toISOString(),
    requirements,
    extraRedo: {
      fullPageImages: Math.max(0, after.fullPageImages - before.fullPageImages),
      logBytes: Math.max(0, after.logBytes - before.logBytes),
    },
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
  kind: BackupKind,
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

/** What the role is allowed: the replication protocol, else pg_backup_start and our own copy. */
async function chooseKind(session: Connection): Promise<BackupKind> {
  const [row] = await session.query<{ may: boolean }>(
    'SELECT rolreplication OR rolsuper AS may FROM pg_catalog.pg_roles WHERE rolname = current_user',
  );
  return row?.may === false ? 'hot' : 'managed';
}

async function askRequirements({ address, signal }: CopyContext): Promise<ServerRequirements> {
  await using session = await connect(address, signal);
  return await readRequirements(address, session, signal);
}

async function copyCluster(kind: BackupKind, context: CopyContext): Promise<CopiedFacts> {
  switch (kind) {
    case 'managed':
      return copyManaged(context);
    case 'hot':
      return copyHot(context);
    case 'quiesced':
      return copyQuiesced(context);
  }
}
