import type { ZoneAction } from '../retention/zone.ts';
import type { ActionDone, Turn } from './zone-turn.ts';

/** Does one action of R12; the red zone's four are one piece of work and come back as four. */
export async function performAction(turn: Turn, { kind, reason }: ZoneAction): Promise<ActionDone[]> {
  const { work } = turn.view;
  switch (kind) {
    case 'hold-refreshes':
      return [{ kind, detail: 'new refreshes wait', facts: {} }];
    case 'release-refreshes':
      return [{ kind, detail: 'refreshes go on', facts: {} }];
    case 'compress-and-move-logs':
      return [await work.moveLogs(turn)];
    case 'remove-obsolete':
      return [await removeObsolete(turn)];
    case 'force-backup': {
      const label = await work.backUp(turn);
      return [{ kind, detail: `backup ${label}`, facts: { backup: label } }];
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

/** Exactly what retention decided, in its order; each thing removed is a record of its own. */
async function removeObsolete(turn: Turn): Promise<ActionDone> {
  const { opened, view, options, run } = turn;
  const { removal, lowWaterMarks, facts, work } = view;
  await work.removeObsolete(turn, async (step) => {
    const { reason } = step;
    const payload =
      step.kind === 'backup'
        ? { backup: step.label, reason }
        : { log: `${step.log.incarnation}/${step.log.thread}/${step.log.sequence}`, reason };
    await opened.ledger.append({ kind: 'removed', run, key: null, payload }, options.now());
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

async function quiesce(turn: Turn): Promise<ActionDone[]> {
  const { label, pauseMs, archivedTo } = await turn.view.work.quiesce(turn);
  return [
    {
      kind: 'block-transactions',
      detail: `new transactions waited, running ones ended: ${pauseMs} ms`,
      facts: { pauseMs },
    },
    { kind: 'quiesced-backup', detail: `backup ${label}`, facts: { backup: label, pauseMs } },
    {
      kind: 'restart-log',
      detail: `archived up to ${archivedTo}, the log goes on behind it`,
      facts: { segment: archivedTo },
    },
    { kind: 'unblock-transactions', detail: `writers went on after ${pauseMs} ms`, facts: { pauseMs } },
  ];
}
