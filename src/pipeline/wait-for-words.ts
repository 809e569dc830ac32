import { DBOS } from '@dbos-inc/dbos-sdk';
import { ClonaError } from '../errors.ts';
import { currentEvidence } from '../gate/evidence.ts';
import { closedConditions, type GateDecision } from '../gate/gate.ts';
import { decide, viewRelease } from './facts-now.ts';
import type { ReleaseResult } from './release-result.ts';
import { readSiteState } from './site-state.ts';
import { durably, runStep, tryStep } from './step.ts';
import { currentWorker } from './worker.ts';

/** Topic of the messages that wake a waiting release: the facts themselves are in the ledger. */
export const wakeTopic = 'wake';

/** A release looks at the ledger at least this often, should a message have got lost. */
const lookEverySeconds = 3600;

/** Waits until the DBA's checklist is done, or the release has ended. */
export async function waitForChecklist(run: string): Promise<void> {
  for (let round = 1; ; round += 1) {
    const decision = await decideNow(run, `checklist-${round}`);
    if (isOpen(decision, 'checklistDone') || !isOpen(decision, 'releaseOpen')) return;
    await sleepUntilWoken(run);
  }
}

/** Requests go out only now (R18), with exactly what is asked about. */
export async function askDepartments(run: string): Promise<void> {
  await runStep(run, {
    name: 'requests',
    title: 'ask the departments',
    evidence: 'requests.sent',
    work: async (worker, step) => {
      const { facts } = await viewRelease(worker, run, null, step.signal);
      const evidence = currentEvidence(facts);
      if (evidence === null)
        throw new ClonaError('gateClosed', 'there is nothing whole to ask the departments about');
      const departments = worker.policy.departments.map(({ name }) => name);
      await worker.operations.notify(
        step,
        'signoffWanted',
        `release ${run} waits for ${departments.join(', ')}`,
      );
      return { sentAt: worker.now().toISOString(), evidence, departments };
    },
    describe: ({ departments }) => departments.join(', '),
  });
}

/** Waits until the release is promoted or given up, and says so whenever the words open or close the gate. */
export async function waitForEnd(run: string, result: ReleaseResult): Promise<string> {
  let told = '';
  for (let round = 1; ; round += 1) {
    const gate = await decideNow(run, `words-${round}`);
    result.gate = gate;
    if (!isOpen(gate, 'releaseOpen')) return (await readState(run, round)) ?? 'ended';
    const refused = !isOpen(gate, 'nobodyRefused');
    const news = refused ? 'gateClosed' : isOpen(gate, 'departmentsConfirmed') ? 'gateOpen' : '';
    if (news !== '' && news !== told) {
      await tryStep(run, {
        name: `tell-${round}`,
        title: `tell: ${news}`,
        evidence: null,
        work: async ({ operations }, step) =>
          operations.notify(step, news, `release ${run}: ${summary(gate)}`),
      });
    }
    told = news;
    await sleepUntilWoken(run);
  }
}

async function readState(run: string, round: number): Promise<string | undefined> {
  return durably(
    `state-${round}`,
    async ({ ledger }) => (await readSiteState(ledger)).releases.find(({ id }) => id === run)?.state,
  );
}

/** Says that it waits, then waits for a message; on the way nothing of it runs anywhere. */
async function sleepUntilWoken(run: string): Promise<void> {
  const worker = await currentWorker();
  worker.waiting(run).resolve();
  await DBOS.recv(wakeTopic, { timeoutSeconds: lookEverySeconds });
}

/** The gate as it stands, kept as evidence when it says something new. */
export async function decideNow(run: string, name: string): Promise<GateDecision> {
  return durably(name, async (worker) => {
    const view = await viewRelease(worker, run, null, worker.ended);
    const decision = decide(worker, view, 'promotion');
    const payload = {
      open: decision.open,
      closed: closedConditions(decision).map(({ name, reason, remedy }) => ({ name, reason, remedy })),
    };
    await worker.ledger.append({ kind: 'gate.decided', run, key: `${run}/${name}`, payload }, worker.now());
    return decision;
  });
}

function isOpen(decision: GateDecision, name: string): boolean {
  return decision.conditions.some((condition) => condition.name === name && condition.open);
}

function summary(decision: GateDecision): string {
  const closed = closedConditions(decision);
  return closed.length === 0 ? 'the gate is open' : closed.map(({ reason }) => reason).join('; ');
}
