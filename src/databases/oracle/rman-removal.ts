import type { Catalog } from '../../recovery/catalog.ts';
import type { Position } from '../../recovery/position.ts';
import type { RemovalStep } from '../../retention/removal.ts';
import { findIncarnation, type KeptLog } from './kept-logs.ts';
import type { RestoreFacts } from './restore-facts.ts';
import { quoteRman } from './rman-text.ts';

/**
 * What is obsolete, as a program for RMAN (R11: what lies in Oracle's recovery area goes only through it, else its account of
 * the room is wrong). Pieces are named one by one, never by tag: a tag may be used every night. A piece that a kept backup is
 * read from stays. Logs go by their sequences on the CURRENT incarnation, which is all that RMAN's ranges reach.
 */
export function writeRemovalProgram(
  steps: readonly RemovalStep[],
  catalog: Catalog,
  { pieces, copies = {}, keptLogs = {} }: Pick<RestoreFacts, 'pieces' | 'copies' | 'keptLogs'>,
): string {
  const going = new Set(steps.flatMap((step) => (step.kind === 'backup' ? [step.label] : [])));
  const needed = new Set(
    catalog.backups.filter(({ label }) => !going.has(label)).flatMap(({ label }) => pieces[label] ?? []),
  );
  const lines: string[] = [
    '# R10 and R11: obsolete by the policy. RMAN asks nothing (NOPROMPT): read it first.',
  ];
  for (const label of going) {
    const backup = catalog.backups.find((one) => one.label === label);
    if (backup?.kind === 'export') {
      lines.push(`# export ${label.replaceAll(/\p{Cc}/gu, '?')}: its dump files are no business of RMAN`);
      continue;
    }
    // RMAN did not make it and does not know its files.
    if (backup?.kind === 'hot' || backup?.kind === 'quiesced' || copies[label] !== undefined) {
      const files = (pieces[label] ?? []).map((path) => path.replaceAll(/\p{Cc}/gu, '?'));
      lines.push(
        `# ${label}: no business of RMAN, to be removed by hand:`,
        ...files.map((path) => `#   ${path}`),
      );
      continue;
    }
    const isCopy = label.startsWith('copies_');
    for (const handle of pieces[label] ?? []) {
      if (needed.has(handle)) continue;
      needed.add(handle);
      lines.push(
        `DELETE NOPROMPT ${isCopy ? 'DATAFILECOPY' : 'BACKUPPIECE'} ${quoteRman(handle, 'a piece')};`,
      );
    }
  }
  return `${[...lines, ...writeLogs(steps, catalog), ...writeKept(steps, catalog, Object.values(keptLogs))].join('\n')}\n`;
}

/** An archived log of the CURRENT incarnation that lies on the server's own disks. */
export interface ServerLog {
  thread: number;
  sequence: number;
  next: Position;
  /** Of all its copies. */
  bytes: number;
}

/**
 * Of what is obsolete only that which the program of `writeRemovalProgram` really removes: backups that RMAN made and of which a piece
 * is in no kept backup, and logs that the server still has. With the room that all of it takes.
 */
export function withinReachOfRman(
  steps: readonly RemovalStep[],
  catalog: Catalog,
  { pieces, copies = {} }: Pick<RestoreFacts, 'pieces' | 'copies'>,
  serverLogs: readonly ServerLog[],
): { steps: RemovalStep[]; bytes: number } {
  const going = new Set(steps.flatMap((step) => (step.kind === 'backup' ? [step.label] : [])));
  const needed = new Set(
    catalog.backups.filter(({ label }) => !going.has(label)).flatMap(({ label }) => pieces[label] ?? []),
  );
  const backups = new Map(catalog.backups.map((backup) => [backup.label, backup]));
  const logs = new Map(serverLogs.map((log) => [`${log.thread}/${log.sequence}`, log]));
  let bytes = 0;
  const reached = steps.filter((step) => {
    if (step.kind === 'log') {
      const { incarnation, thread, sequence } = step.log;
      const log = logs.get(`${thread}/${sequence}`);
      if (log === undefined || incarnation !== catalog.currentIncarnation) return false;
      bytes += log.bytes;
      return true;
    }
    const backup = backups.get(step.label);
    const isRmans = backup?.kind === 'managed' || backup?.kind === 'cold';
    if (!isRmans || copies[step.label] !== undefined) return false;
    if (!(pieces[step.label] ?? []).some((handle) => !needed.has(handle))) return false;
    bytes += backup.bytes ?? 0;
    return true;
  });
  return { steps: reached, bytes };
}

/** Compressed logs in the archive: what may go of the server's may go here, too. */
function writeKept(steps: readonly RemovalStep[], catalog: Catalog, kept: readonly KeptLog[]): string[] {
  const going = new Set(
    steps.flatMap((step) =>
      step.kind === 'log' ? [`${step.log.incarnation}/${step.log.thread}/${step.log.sequence}`] : [],
    ),
  );
  const files = kept.flatMap((log) =>
    going.has(`${findIncarnation(log.branch, catalog) ?? ''}/${log.thread}/${log.sequence}`)
      ? [log.path, ...(log.mirror === undefined ? [] : [log.mirror])]
      : [],
  );
  return files.length === 0
    ? []
    : [
        '# kept logs that no backup needs any more, to be removed by hand:',
        ...files.map((path) => `#   ${path}`),
      ];
}

function writeLogs(steps: readonly RemovalStep[], { currentIncarnation }: Catalog): string[] {
  const ranges: { thread: number; from: number; to: number }[] = [];
  const others = new Set<number>();
  for (const step of steps) {
    if (step.kind !== 'log') continue;
    const { incarnation, thread, sequence } = step.log;
    if (incarnation !== currentIncarnation) {
      others.add(incarnation);
      continue;
    }
    const last = ranges.at(-1);
    if (last !== undefined && last.thread === thread && last.to + 1 === sequence) last.to = sequence;
    else ranges.push({ thread, from: sequence, to: sequence });
  }
  return [
    ...ranges.map(
      ({ thread, from, to }) =>
        `DELETE NOPROMPT ARCHIVELOG FROM SEQUENCE ${from} UNTIL SEQUENCE ${to} THREAD ${thread};`,
    ),
    ...[...others].map(
      (id) =>
        `# logs of incarnation ${id} may go, too: RMAN reaches them after RESET DATABASE TO INCARNATION, on a mounted database`,
    ),
  ];
}
