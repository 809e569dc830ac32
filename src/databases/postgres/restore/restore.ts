import { join } from 'node:path/posix';
import { refuseVanished } from '../../../archive/repository.ts';
import { ClonaError } from '../../../errors.ts';
import { silent, withProgress } from '../../../progress.ts';
import type { Until } from '../../../recovery/question.ts';
import { readArchive, type ArchiveCatalog } from '../catalog.ts';
import type { FoundBackup } from '../catalog-files.ts';
import { formatSegmentName } from '../lsn.ts';
import type { RestoreContext, RestoreOptions } from './context.ts';
import { refuseInside } from './place/examine-target.ts';
import { estimateRestore, mebibytes, refuseWithoutSpace } from './estimate.ts';
import { defaultWorkers } from './default-workers.ts';
import { layoutOf } from './layout.ts';
import { withoutBackup, withoutSegment } from './choose/leave-out.ts';
import { lockTarget } from './place/lock-target.ts';
import type { RestorePlace } from './place/place.ts';
import { SegmentDamaged } from './log-feed.ts';
import { makeCluster } from './make-cluster.ts';
import { summarize, type RestoreReport } from './report.ts';
import { findRestorePoint } from './choose/restore-points.ts';
import { selectRecovery, type RestorePointFound, type Selection } from './choose/select.ts';
import { checkTarget, checkVersion, claimTarget, findMissingParts } from './validate.ts';

/**
 * Restores from the files of an archive alone: selects by R1 to R7, checks what can be checked, unpacks and proves, replays the
 * log, opens, and switches by one rename. The target is whole or not there. Exit 4: the backups that would
 * serve are damaged; exit 5: the target cannot be reached; exit 6: disk, server or machine failed.
 */
export async function restore(options: RestoreOptions): Promise<RestoreReport> {
  const { place, signal, onProgress = silent } = options;
  const startedMs = performance.now();
  const layout = layoutOf(await place.resolve(options.target));
  let archive = await readArchive(options, signal);
  const warnings = [...archive.warnings];
  await checkTarget(place, layout, archive.header.systemIdentifier, options.replace === true);
  if (!place.isElsewhere)
    await refuseInside(
      archive.folders.map(({ dir }) => dir),
      layout.target,
    );
  await using _lock =
    options.dryRun === true || place.isElsewhere ? undefined : await lockTarget(layout.target);
  const { until, point } = await resolveRestorePoint(options, archive);
  for (let failure: ClonaError | undefined; ;) {
    const selection = selectOrRethrow(archive, until, point, failure);
    const context = await prepare({
      options,
      place,
      layout,
      archive,
      selection,
      signal,
      onProgress,
      warnings,
    });
    if (options.dryRun === true) return summarize(context, null, startedMs);
    await claimTarget(place, layout, archive.header.systemIdentifier, options.replace === true);
    try {
      const made = await makeCluster(context);
      return summarize(context, made, startedMs);
    } catch (error) {
      const rest = withoutDamaged(context, error);
      if (rest === undefined) throw error;
      for (const { dir } of archive.folders) await refuseVanished(dir);
      archive = rest.archive;
      failure = rest.failure;
      warnings.push(`${failure.message}: looking for another way`);
      onProgress({ step: 'choose another way', state: 'done', detail: failure.message });
    }
  }
}

async function resolveRestorePoint(
  { until, workers, signal, onProgress = silent }: RestoreOptions,
  archive: ArchiveCatalog,
): Promise<{ until: Until; point: RestorePointFound | null }> {
  if (until.kind !== 'restorePoint') return { until, point: null };
  const point = await withProgress(
    onProgress,
    'look for the restore point',
    async () => findRestorePoint(archive, until.name, workers ?? defaultWorkers(), signal),
    (found) => `${found.name} in incarnation ${found.incarnation}`,
  );
  return { until: { kind: 'incarnation', incarnation: point.incarnation, position: point.position }, point };
}

/** When nothing else serves, the damage that was found is the news. */
function selectOrRethrow(
  archive: ArchiveCatalog,
  until: Until,
  point: RestorePointFound | null,
  failure: ClonaError | undefined,
): Selection {
  try {
    return selectRecovery(archive, until, point);
  } catch (error) {
    if (failure === undefined || !(error instanceof ClonaError)) throw error;
    const isDamage = failure.kind === 'archiveDamaged' || failure.kind === 'archiveForeign';
    const isSegment = failure.details?.['segment'] !== undefined;
    // A damaged backup with nothing else that serves: exit 4. A damaged segment makes the target unreachable: exit 5.
    if (isDamage && !isSegment) throw failure;
    throw new ClonaError(error.kind === 'targetUnreachable' ? 'archiveGap' : error.kind, failure.message, {
      hint: error.hint,
      cause: error,
      details: { ...error.details, ...failure.details },
    });
  }
}

async function prepare(context: Omit<RestoreContext, 'copies' | 'estimate'>): Promise<RestoreContext> {
  const { options, place, layout, archive, selection, warnings } = context;
  const copies = archive.folders
    .flatMap((folder) => folder.backups)
    .filter(({ label }) => label === selection.backup.label)
    .flatMap((copy) => {
      const { header, manifest, isForeign } = copy;
      return header === null || manifest === null || isForeign ? [] : [{ ...copy, header, manifest }];
    })
    .sort((a, b) => Number(b.state === 'available') - Number(a.state === 'available'));
  const [best] = copies;
  if (best === undefined)
    throw new ClonaError('archiveDamaged', `backup ${selection.backup.label} cannot be read`);
  checkVersion(best.header, options.binaries);
  await checkParts(context, best.header);
  const freeBytes = await checkReach(place, layout.target);
  const present =
    (await place.isThere(layout.partial)) || options.replace === true ? best.header.rawBytes : 0;
  const { segmentSizeBytes } = archive.header;
  const estimate = estimateRestore(
    best.header,
    selection.segments.length,
    segmentSizeBytes,
    freeBytes,
    present,
    options.speed,
  );
  context.onProgress({
    step: 'check space and time',
    state: 'done',
    detail: `${mebibytes(estimate.neededBytes)} MiB of ${mebibytes(freeBytes)} MiB free, about ${estimate.seconds} s`,
  });
  if (options.dryRun !== true) refuseWithoutSpace(estimate, layout.target);
  else if (estimate.neededBytes > freeBytes)
    warnings.push('the disk of the target has too little space free');
  return { ...context, copies, estimate };
}

/** Bytes free at a target that can be reached and renamed to. */
async function checkReach(place: RestorePlace, target: string): Promise<number> {
  const { freeBytes, unreachable, isMountPoint } = await place.examine(target);
  if (isMountPoint) {
    throw new ClonaError('targetOccupied', `${target}${place.where} is the top of a file system`, {
      hint: `a restore ends with a rename, which needs a folder inside: ${join(target, 'data')}`,
    });
  }
  if (unreachable !== null) {
    throw new ClonaError('serverUnfit', `the server's user cannot reach ${unreachable}${place.where}`, {
      hint: "choose a target under folders that this user may enter, or another user; no folder's mode is changed here",
    });
  }
  return freeBytes;
}

async function checkParts(
  { options, place, warnings }: Omit<RestoreContext, 'copies' | 'estimate'>,
  header: FoundBackup['header'] & object,
): Promise<void> {
  const missing = await findMissingParts(place, header, options.binaries);
  if (missing.length === 0) return;
  const said = `missing here: ${missing.join(', ')}`;
  if (options.acceptMissing !== true) {
    throw new ClonaError('serverUnfit', said, {
      hint: 'install what brings them; --accept-missing goes on, and what needs them will not work',
      details: { missing },
    });
  }
  warnings.push(said);
}

/** Damage found while reading: the archive without it, or undefined for any other error. */
function withoutDamaged(
  { archive, selection }: RestoreContext,
  error: unknown,
): { archive: ArchiveCatalog; failure: ClonaError } | undefined {
  if (error instanceof SegmentDamaged) {
    const segment = formatSegmentName(error.segment, archive.header.segmentSizeBytes);
    const { kind, message, hint } = error.found;
    const failure = new ClonaError(kind, message, { hint, cause: error.found, details: { segment } });
    return { archive: withoutSegment(archive, error.segment), failure };
  }
  if (error instanceof ClonaError && error.kind === 'archiveDamaged') {
    return { archive: withoutBackup(archive, selection.backup.label), failure: error };
  }
  return undefined;
}
