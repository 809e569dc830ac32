import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planToJson } from '../../src/recovery/answer.ts';
import type { Backup, Catalog } from '../../src/recovery/catalog.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { lostWords, parseUntil, type Lost } from '../../src/recovery/question.ts';
import { decideRetention } from '../../src/retention/retention.ts';
import { findWay } from './brute-force.ts';
import { anyStory, ask, play, readCatalog, remainsOf, timeOf } from './history.ts';
import { execute, type PlanDocument } from './restore.ts';
import { committedAt, logName, type Simulation } from './simulation.ts';

/** 2,000 in CI; 100,000 by `npm run test:deep`; 200 under mutation testing. */
const histories = Number(process.env['CLONA_HISTORIES'] ?? 2000);
const timeout = 60_000 + histories * 100;

const picks = fc.array(fc.nat({ max: 99_999 }), { minLength: 12, maxLength: 12 });

/** `id`: the incarnation whose path is asked for. */
function checkAnswer(sim: Simulation, plan: PlanDocument, id: number, lost: Lost): void {
  const until = plan.target.until === null ? null : Number(plan.target.until);
  if (plan.reachable) {
    expect(execute(plan, remainsOf(sim, lost)).rows).toEqual(committedAt(sim, id, until!));
    expect(plan.nearest).toEqual({ below: null, above: null });
    return;
  }
  const candidates = until === null ? positions(sim) : [until];
  for (const p of candidates) expect(findWay(sim, id, p, lost)).toBe(null);
  if (until === null) return;
  const { below, above } = plan.nearest;
  const [from, to] = [
    below === null ? -1 : Number(below),
    above === null ? sim.nextPosition + 1 : Number(above),
  ];
  for (let p = from + 1; p < to; p += 1) expect(findWay(sim, id, p, lost)).toBe(null);
  if (below !== null) expect(findWay(sim, id, from, lost)).not.toBe(null);
  if (above !== null) expect(findWay(sim, id, to, lost)).not.toBe(null);
}

function positions(sim: Simulation): number[] {
  return Array.from({ length: sim.nextPosition + 1 }, (_, position) => position);
}

function askAll(sim: Simulation, [a, b, c, d, e, f, ...more]: number[]): void {
  for (const lost of lostWords) checkAnswer(sim, ask(sim, 'latest', lost), sim.current, lost);
  const lost = lostWords[a! % 4]!;
  checkAnswer(sim, ask(sim, `position:${b! % (sim.nextPosition + 3)}`, lost), sim.current, lost);
  for (const pick of [c!, d!, ...more.slice(0, 2)]) {
    const { id } = sim.incarnations[pick % sim.incarnations.length]!;
    checkAnswer(
      sim,
      ask(sim, `incarnation:${id}@${(pick >> 3) % (sim.nextPosition + 3)}`, 'database'),
      id,
      'database',
    );
    checkAnswer(sim, ask(sim, `incarnation:${id}`, 'online-log'), id, 'online-log');
  }
  const at = timeOf(e! % (sim.minute + 5)).replace('.000Z', '+00:00');
  const byTime = ask(sim, `time:${at}`, 'database');
  if (byTime.target.until !== null) checkAnswer(sim, byTime, sim.current, 'database');
  const backup = sim.backups[f! % Math.max(1, sim.backups.length)];
  if (backup !== undefined) checkBackup(sim, backup.label, backup.incarnation, lost);
}

function checkBackup(sim: Simulation, label: string, id: number, lost: Lost): void {
  const plan = ask(sim, `backup:${label}`, lost);
  const only = { ...sim, backups: sim.backups.filter((one) => one.label === label) };
  if (plan.reachable) {
    expect(execute(plan, remainsOf(sim, lost)).rows).toEqual(committedAt(sim, id, Number(plan.target.until)));
  } else if (plan.target.until !== null)
    expect(findWay(only, id, Number(plan.target.until), lost)).toBe(null);
}

test(
  'a reachable plan restores the committed state at its target, and nobody finds a way to an unreachable one',
  () => {
    fc.assert(
      fc.property(anyStory, picks, (story, questions) => {
        const sim = play(story);
        askAll(sim, questions);
        expect(sim.memory).toHaveLength(5);
      }),
      { numRuns: histories },
    );
  },
  timeout,
);

const anyPolicy = fc.record({
  redundancy: fc.integer({ min: 0, max: 3 }),
  windowDays: fc.constantFrom(0, 0.02, 0.05, 0.1),
  orphanDays: fc.constantFrom(0, 0.03, 0.1),
});

/** As if all that may go had gone. */
function applyRetention(
  catalog: Catalog,
  sim: Simulation,
  kept: ReadonlySet<string>,
  gone: ReadonlySet<string>,
): { catalog: Catalog; sim: Simulation } {
  const backups = new Map([...sim.vault.backups].filter(([label]) => kept.has(label)));
  const logs = new Map([...sim.vault.logs].filter(([name]) => !gone.has(name)));
  return {
    catalog: {
      ...catalog,
      backups: catalog.backups.filter(({ label }) => kept.has(label)),
      logs: catalog.logs.filter((log) => !gone.has(logName(log))),
    },
    sim: { ...sim, vault: { backups, logs } },
  };
}

/** How far one backup alone leads on the path of `id`. */
function leadsTo(catalog: Catalog, backup: Backup, id: number): bigint | null {
  const alone = { ...catalog, backups: [backup] };
  return planRecovery(alone, {
    until: { kind: 'incarnation', incarnation: id, position: null },
    lost: 'database',
  }).target.until;
}

test(
  'what retention lets go makes no target of the policy unreachable',
  () => {
    fc.assert(
      fc.property(anyStory, anyPolicy, fc.nat({ max: 200 }), (story, policy, later) => {
        const sim = play(story);
        const catalog = readCatalog(sim);
        const now = Date.parse(timeOf(sim.minute + later));
        const verdicts = decideRetention(catalog, policy, now);
        const kept = new Set(verdicts.backups.filter(({ keep }) => keep).map(({ label }) => label));
        const gone = new Set(verdicts.deletableLogs.map(logName));
        const after = applyRetention(catalog, sim, kept, gone);
        for (const backup of after.catalog.backups) {
          for (const id of [backup.incarnation, catalog.currentIncarnation]) {
            expect(leadsTo(after.catalog, backup, id)).toBe(leadsTo(catalog, backup, id));
          }
        }
        const byPolicy = verdicts.backups.filter(({ reasons }) =>
          reasons.some((one) => /^(redundancy|recovery window)/.test(one)),
        );
        const oldest = catalog.backups
          .filter(({ label, kind }) => kind !== 'export' && byPolicy.some((one) => one.label === label))
          .reduce<bigint | null>(
            (low, { consistentFrom }) => (low === null || consistentFrom! < low ? consistentFrom : low),
            null,
          );
        if (oldest === null) return;
        // Without the online log: what only it completes does not count as kept by the policy (A17).
        for (let p = oldest; p <= BigInt(sim.nextPosition); p += 1n) {
          const question = { until: parseUntil(`position:${p}`), lost: 'online-log' as const };
          if (!planRecovery(catalog, question).reachable) continue;
          const answer = planRecovery(after.catalog, question);
          expect(answer.reachable, `position ${p}`).toBe(true);
          if (p % 7n !== 0n) continue;
          const document = JSON.parse(JSON.stringify(planToJson(answer))) as PlanDocument;
          const { rows } = execute(document, remainsOf(after.sim, 'online-log'));
          expect(rows).toEqual(committedAt(sim, sim.current, Number(p)));
        }
      }),
      { numRuns: histories },
    );
  },
  timeout,
);
