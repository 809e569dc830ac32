import { setTimeout as wait } from 'node:timers/promises';
import type { GateFacts } from '../gate/facts.ts';
import type { GateDecision } from '../gate/gate.ts';
import type { Context } from './context.ts';
import { decide, viewRelease } from './facts-now.ts';

export interface ReleaseProgress {
  /** What a release waits for; `decided`: every department spoke, or one refused, or the release has ended. */
  phase: 'checklist' | 'words' | 'decided';
  gate: GateDecision;
  facts: GateFacts;
}

export async function readProgress(context: Context, release: string): Promise<ReleaseProgress> {
  const view = await viewRelease(context, release, null, context.signal);
  const gate = decide(context, view, 'promotion');
  const isOpen = (name: string): boolean =>
    gate.conditions.some((condition) => condition.name === name && condition.open);
  const ended = !isOpen('releaseOpen') || !isOpen('nobodyRefused') || isOpen('departmentsConfirmed');
  const phase = ended ? 'decided' : isOpen('checklistDone') ? 'words' : 'checklist';
  return { phase, gate, facts: view.facts };
}

const lookEveryMs = 1000;

/** Until the departments have spoken. Interrupting it stops the waiting; the release goes on waiting by itself. */
export async function waitForWords(context: Context, release: string): Promise<ReleaseProgress> {
  for (let seen = -1; ;) {
    const records = await context.ledger.list({ runs: [release] });
    // A look at LIVE and at the kit's files only when something was said.
    if (records.length !== seen) {
      seen = records.length;
      const progress = await readProgress(context, release);
      if (progress.phase === 'decided') return progress;
    }
    await wait(lookEveryMs, undefined, { signal: context.signal });
  }
}
