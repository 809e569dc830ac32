import type { Catalog } from '../../recovery/catalog.ts';
import type { RemovalStep } from '../../retention/removal.ts';
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
  { pieces }: Pick<RestoreFacts, 'pieces'>,
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
    const isCopy = label.startsWith('copies_');
    for (const handle of pieces[label] ?? []) {
      if (needed.has(handle)) continue;
      needed.add(handle);
      lines.push(
        `DELETE NOPROMPT ${isCopy ? 'DATAFILECOPY' : 'BACKUPPIECE'} ${quoteRman(handle, 'a piece')};`,
      );
    }
  }
  return `${[...lines, ...writeLogs(steps, catalog)].join('\n')}\n`;
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
