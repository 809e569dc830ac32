import { applyRemoval } from '../databases/postgres/apply-removal.ts';
import type { BackupKind } from '../databases/postgres/backup-context.ts';
import type { ZoneAction, ZoneActionKind } from '../retention/zone.ts';
import { dropArchivedStreams } from './archived-streams.ts';
import { backUpUnderLock, type SiteBackup } from './back-up.ts';
import { archiveLog, withArchiver } from './postgres/live-archive.ts';
import { createStep } from './step.ts';
import type { Turn } from './zone-turn.ts';

export interface ActionDone {
  kind: ZoneActionKind;
  detail: string;
  facts: { [key: string]: string | number | null };
}

/** Does one action of R12; the red zone's four are one piece of work and come back as four. */
export async function performAction(turn: Turn, { kind, reason }: ZoneAction): Promise<ActionDone[]> {
  switch (kind) {
    case 'hold-refreshes':
      return [{ kind, detail: 'new refreshes wait', facts: {} }];
    case 'release-refreshes':
      return [{ kind, detail: 'refreshes go on', facts: {} }];
    case 'compress-and-move-logs':
      return [await moveLogs(turn)];
    case 'remove-obsolete':
      return [await removeObsolete(turn)];
    case 'force-backup': {
      const { header } = await backUp(turn, undefined);
      return [{ kind, detail: `backup ${header.label}`, facts: { backup: header.label } }];
    }
    case 'block-transactions':
    case 'quiesced-backup':
    case 'restart-log':
    case 'unblock-transactions':
      return quiesce(turn);
    case 'page-human':
      await turn.options.page(turn.decision.zone, reason);
      return [{ kind, detail: reason, facts: {} }];
  }
}

/** The spool goes compressed into archive and mirror; the stream's raw segments go where the compressed one lies. */
async function moveLogs({ opened, address, view, options }: Turn): Promise<ActionDone> {
  const { archived, problems } = await withArchiver(opened.site, address, options, async (archiver) =>
    archiver.drain(),
  );
  let streams = 0;
  for (const archive of [view.archive, ...(view.mirror === undefined ? [] : [view.mirror])]) {
    streams += await dropArchivedStreams(archive);
  }
  if (problems[0] !== undefined) throw problems[0];
  const detail = `${archived.length} segments compressed into archive and mirror, ${streams} raw ones dropped`;
  return { kind: 'compress-and-move-logs', detail, facts: { archived: archived.length, streams } };
}

/** Exactly what retention decided, in its order; each thing removed is a record of its own. */
async function removeObsolete({ opened, view, options, run }: Turn): Promise<ActionDone> {
  const { archive, mirror, removal, lowWaterMarks, facts } = view;
  await applyRemoval({
    archives: [archive, ...(mirror === undefined ? [] : [mirror])],
    steps: removal,
    signal: options.signal,
    onStep: async (step) => {
      const { reason } = step;
      const payload =
        step.kind === 'backup'
          ? { backup: step.label, reason }
          : { log: `${step.log.incarnation}/${step.log.thread}/${step.log.sequence}`, reason };
      await opened.ledger.append({ kind: 'removed', run, key: null, payload }, options.now());
    },
  });
  const backups = removal.filter(({ kind }) => kind === 'backup').length;
  const marks = lowWaterMarks.map(({ incarnation, position }) => `${incarnation}: ${position ?? 'none'}`);
  return {
    kind: 'remove-obsolete',
    detail: `${backups} backups and ${removal.length - backups} archived logs below the low water mark`,
    facts: {
      backups,
      logs: removal.length - backups,
      freedBytes: facts.obsoleteBytes,
      marks: marks.join(', '),
    },
  };
}

async function backUp({ opened, options }: Turn, kind: BackupKind | undefined): Promise<SiteBackup> {
  const { by, signal, onProgress } = options;
  return backUpUnderLock(opened, { by, kind, signal, onProgress });
}

/** Writers are held back only around the restore point, after the copy (src/databases/postgres/backup-quiesced.ts). */
async function quiesce(turn: Turn): Promise<ActionDone[]> {
  const { opened, address, options, run } = turn;
  const { header, archivedTo } = await backUp(turn, 'quiesced');
  const { label, pauseMs } = header;
  const step = createStep({ ledger: opened.ledger, ...options }, run, `${run}/restart-log`, options.signal);
  const segment = archivedTo ?? (await archiveLog(opened.site, address, step));
  return [
    {
      kind: 'block-transactions',
      detail: `new transactions waited, running ones ended: ${pauseMs} ms`,
      facts: { pauseMs },
    },
    { kind: 'quiesced-backup', detail: `backup ${label}`, facts: { backup: label, pauseMs } },
    {
      kind: 'restart-log',
      detail: `archived up to ${segment}, the log goes on behind it`,
      facts: { segment },
    },
    { kind: 'unblock-transactions', detail: `writers went on after ${pauseMs} ms`, facts: { pauseMs } },
  ];
}
