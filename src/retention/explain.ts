import type { Catalog } from '../recovery/catalog.ts';
import { showPosition } from '../recovery/position.ts';
import { layTable } from '../recovery/table.ts';
import type { RetentionAnswer } from './retention.ts';

const shownLogs = 20;

/** The document of `clona retention --json`: positions become decimal strings. */
export function retentionToJson({
  backups,
  lowWaterMarks,
  deletableLogs,
}: RetentionAnswer): Record<string, unknown> {
  return {
    backups,
    lowWaterMarks: lowWaterMarks.map((mark) => ({ ...mark, position: mark.position?.toString() ?? null })),
    deletableLogs,
  };
}

/** What `clona retention` prints: every backup with its verdict and reasons, every mark, what may go. */
export function explainRetention({ engine }: Pick<Catalog, 'engine'>, answer: RetentionAnswer): string {
  const { backups, lowWaterMarks, deletableLogs } = answer;
  const verdicts = backups.map(({ label, keep, flagged, reasons }) => [
    label,
    `${keep ? 'keep' : 'OBSOLETE'}${flagged ? ' !' : ''}`,
    reasons.join('; '),
  ]);
  const marks = lowWaterMarks.map(({ incarnation, position, abandoned }) => {
    const without = abandoned ? 'abandoned: all its logs may go' : 'nothing kept: no log may go';
    return [String(incarnation), position === null ? without : showPosition(engine, position)];
  });
  const logs = deletableLogs
    .slice(0, shownLogs)
    .map(({ incarnation, thread, sequence }) => `  ${incarnation}/${thread}/${sequence}`);
  const more = deletableLogs.length - logs.length;
  return [
    ...layTable([['backup', 'verdict', 'because'], ...verdicts]),
    '',
    ...layTable([['incarnation', 'archive low water mark'], ...marks], [0]),
    '',
    `${deletableLogs.length} archived logs may go${logs.length > 0 ? ' (incarnation/thread/sequence)' : ''}`,
    ...logs,
    ...(more > 0 ? [`  … and ${more} more (--json has them all)`] : []),
  ].join('\n');
}
