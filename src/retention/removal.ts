import type { LogName } from '../recovery/answer.ts';
import type { Backup, Catalog } from '../recovery/catalog.ts';
import type { RetentionAnswer } from './retention.ts';

export type RemovalStep =
  | { kind: 'backup'; label: string; reason: string }
  | { kind: 'log'; log: LogName; reason: string };

/**
 * The order in which obsolete things go, so that a crash after any step leaves an archive that is whole: backups before
 * the logs they need, what stands on another backup before that one, logs from the oldest. What was never found in the
 * archive (state missing) has nothing to remove.
 */
export function planRemoval(catalog: Catalog, answer: RetentionAnswer): RemovalStep[] {
  const obsolete = new Map(
    answer.backups.filter(({ keep }) => !keep).map((verdict) => [verdict.label, verdict]),
  );
  const backups: RemovalStep[] = [];
  const placed = new Set<string>();
  const place = ({ label, state }: Backup): void => {
    const verdict = obsolete.get(label);
    if (verdict === undefined || placed.has(label)) return;
    placed.add(label);
    for (const other of catalog.backups) if (other.requires?.includes(label) === true) place(other);
    if (state !== 'missing') backups.push({ kind: 'backup', label, reason: verdict.reasons.join('; ') });
  };
  for (const backup of catalog.backups) place(backup);
  const marks = new Map(answer.lowWaterMarks.map((mark) => [mark.incarnation, mark]));
  // They come by incarnation, thread and sequence: the oldest of a thread first.
  const logs = answer.deletableLogs.map((log): RemovalStep => {
    const mark = marks.get(log.incarnation)!; // there is one for each incarnation
    const reason = mark.abandoned
      ? 'its incarnation is abandoned'
      : `ends at or below the low water mark ${mark.position}`;
    return { kind: 'log', log, reason };
  });
  return [...backups, ...logs];
}
