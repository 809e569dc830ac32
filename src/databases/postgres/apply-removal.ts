import { finishRemovals, removeBackup, removeLogSegment } from '../../archive/remove.ts';
import type { Archive } from '../../archive/repository.ts';
import type { RemovalStep } from '../../retention/removal.ts';
import { formatSegmentName, formatTimeline } from './lsn.ts';

export interface RemovalOptions {
  /** The archive, then its mirror. */
  archives: readonly Archive[];
  steps: readonly RemovalStep[];
  signal: AbortSignal;
  /** Told after each step that was done everywhere: an evidence record for each. */
  onStep?: (step: RemovalStep) => Promise<void>;
}

/** Does what `planRemoval` decided, step by step; it can be stopped anywhere and repeated. */
export async function applyRemoval({ archives, steps, signal, onStep }: RemovalOptions): Promise<void> {
  for (const archive of archives) await finishRemovals(archive);
  for (const step of steps) {
    signal.throwIfAborted();
    for (const archive of archives) await removeFrom(archive, step);
    await onStep?.(step);
  }
}

async function removeFrom(archive: Archive, step: RemovalStep): Promise<void> {
  if (step.kind === 'backup') {
    await removeBackup(archive, step.label);
    return;
  }
  const { incarnation, sequence } = step.log;
  const segment = formatSegmentName(
    { timeline: incarnation, number: sequence },
    archive.header.segmentSizeBytes,
  );
  await removeLogSegment(archive, formatTimeline(incarnation), segment);
}
