import fc from 'fast-check';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { planToJson } from '../../src/recovery/answer.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { parseUntil, type Lost } from '../../src/recovery/question.ts';
import { execute, type PlanDocument, type Remains } from './restore.ts';
import {
  begin,
  change,
  checkpoint,
  crash,
  createSimulation,
  enableThread,
  end,
  flush,
  loseSomething,
  reopen,
  startBackup,
  stepBackup,
  switchLog,
  type Kind,
  type Options,
  type Simulation,
} from './simulation.ts';
import { blockCount } from './blocks.ts';

const weights = {
  begin: 8,
  change: 22,
  commit: 9,
  abort: 2,
  flush: 4,
  checkpoint: 1,
  switch: 7,
  backup: 4,
  crash: 1,
  lose: 1,
  reset: 2,
  enableThread: 1,
} as const;

type Act = keyof typeof weights;

export interface Step {
  act: Act;
  pick: number;
}

export interface Story {
  options: Options;
  steps: Step[];
}

const acts = Object.entries(weights).flatMap(([act, weight]) =>
  Array.from({ length: weight }, () => act as Act),
);

export const anyStory: fc.Arbitrary<Story> = fc.record({
  options: fc.record({ force: fc.boolean(), copiesTail: fc.boolean(), wholeBlockRedo: fc.constant(true) }),
  steps: fc.array(fc.record({ act: fc.constantFrom(...acts), pick: fc.nat({ max: 9999 }) }), {
    minLength: 20,
    maxLength: 120,
    size: 'max',
  }),
});

const kinds: readonly Kind[] = ['hot', 'hot', 'managed', 'managed', 'managed', 'quiesced', 'cold', 'export'];

export function play({ options, steps }: Story): Simulation {
  const sim = createSimulation(options);
  for (const { act, pick } of steps) {
    sim.minute += 1 + (pick % 5);
    takeStep(sim, act, pick);
    stepBackup(sim);
  }
  return sim;
}

function takeStep(sim: Simulation, act: Act, pick: number): void {
  switch (act) {
    case 'begin':
      return begin(sim, pick);
    case 'change':
      if (sim.open.size === 0) begin(sim, pick);
      return change(sim, pick, pick);
    case 'commit':
      return end(sim, pick, true);
    case 'abort':
      return end(sim, pick, false);
    case 'flush':
      return flush(sim, pick % blockCount);
    case 'checkpoint':
      return checkpoint(sim);
    case 'switch':
      return switchLog(sim, pick);
    case 'backup':
      return startBackup(sim, kinds[pick % kinds.length]!, pick >> 3);
    case 'crash':
      return crash(sim);
    case 'lose':
      return loseSomething(sim, pick);
    case 'enableThread':
      return enableThread(sim);
    case 'reset':
      return resetTo(sim, pick);
  }
}

/** Production is lost and comes back by a plan: at its end, or at some earlier position of any branch. */
function resetTo(sim: Simulation, pick: number): void {
  if (sim.incarnations.length > 5) return;
  const somewhere = sim.incarnations[(pick >> 2) % sim.incarnations.length]!;
  const back = (pick >> 4) % 20;
  const until =
    pick % 4 === 0 ? 'latest' : `incarnation:${somewhere.id}@${Math.max(1, sim.nextPosition - back)}`;
  const plan = ask(sim, until, 'database');
  if (!plan.reachable) return;
  const target = { incarnation: plan.target.incarnation, until: Number(plan.target.until) };
  const { branch } = sim.incarnations.find(({ id }) => id === target.incarnation)!;
  if (target.until <= branch) return;
  reopen(
    sim,
    execute(plan, remainsOf(sim, 'database')).blocks,
    target,
    plan.opensNewIncarnation,
    pick % 3 === 0,
  );
}

export function remainsOf(sim: Simulation, lost: Lost): Remains {
  const logsLost = lost === 'all-logs' || lost === 'everything';
  return {
    backups: sim.vault.backups,
    logs: logsLost ? new Map() : sim.vault.logs,
    online: lost === 'database' ? [...sim.online.values()].flatMap(({ records }) => records) : null,
    incarnations: sim.incarnations,
    current: sim.current,
  };
}

/** By the text of the catalog and the text of the answer: nothing of the simulator reaches the planner. */
export function ask(sim: Simulation, until: string, lost: Lost): PlanDocument {
  const answer = planRecovery(readCatalog(sim), { until: parseUntil(until), lost });
  return JSON.parse(JSON.stringify(planToJson(answer))) as PlanDocument;
}

const epoch = Date.parse('2024-05-01T00:00:00Z');

export function timeOf(minute: number): string {
  return new Date(epoch + minute * 60_000).toISOString();
}

export function readCatalog(sim: Simulation): Catalog {
  return parseCatalog(
    JSON.stringify({
      engine: 'oracle',
      database: 'SIM',
      currentIncarnation: sim.current,
      incarnations: sim.incarnations.map(({ id, parent, branch, minute }) => ({
        id,
        parent,
        branchPosition: String(branch),
        openedAt: timeOf(minute),
      })),
      backups: sim.backups.map(({ start, consistentFrom, startedMinute, finishedMinute, ...rest }) => ({
        ...rest,
        start: String(start),
        consistentFrom: consistentFrom === null ? null : String(consistentFrom),
        startedAt: timeOf(startedMinute),
        finishedAt: finishedMinute === null ? null : timeOf(finishedMinute),
      })),
      logs: sim.logs.map(({ first, next, firstMinute, nextMinute, ...rest }) => ({
        ...rest,
        first: String(first),
        next: String(next),
        firstTime: timeOf(firstMinute),
        nextTime: timeOf(nextMinute),
      })),
      onlineLogs: [...sim.online].map(([thread, { first, firstMinute }]) => ({
        incarnation: sim.current,
        thread,
        first: String(first),
        end: String(sim.nextPosition),
        firstTime: timeOf(firstMinute),
        endTime: timeOf(sim.minute),
      })),
    }),
  );
}
