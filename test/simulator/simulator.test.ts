import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { demandsRecovery, endBackup, findFiles, open } from './backup-mode.ts';
import { readCommitted } from './blocks.ts';
import { anyStory, ask, play, remainsOf } from './history.ts';
import { execute, rollForward } from './restore.ts';
import {
  begin,
  change,
  checkpoint,
  committedAt,
  crash,
  createSimulation,
  end,
  flush,
  recordsOnPath,
  startBackup,
  stepBackup,
  switchLog,
  type Options,
  type Simulation,
} from './simulation.ts';

const plain: Options = { force: false, copiesTail: false, wholeBlockRedo: true };

/** One committed row; `value` chooses block (value mod 4) and cell (value div 8). */
function work(sim: Simulation, value: number): void {
  begin(sim, 0);
  change(sim, 0, value);
  end(sim, 0, true);
}

/** A hot backup that reads block 1 in two moments, with a change written to disk between them. */
function fracture(options: Options): Simulation {
  const sim = createSimulation(options);
  work(sim, 8);
  startBackup(sim, 'hot', 0); // reads tails first
  stepBackup(sim);
  stepBackup(sim); // block 0
  stepBackup(sim); // the tail of block 1
  work(sim, 24); // block 1, last cell
  work(sim, 0); // block 1, first cell
  flush(sim, 1);
  while (sim.running !== null) stepBackup(sim);
  switchLog(sim, 0);
  return sim;
}

describe('a block copied in two moments', () => {
  test('is healed by the whole block in the log', () => {
    const sim = fracture(plain);
    const plan = ask(sim, 'latest', 'online-log');
    expect(plan.backup).toBe('B1');
    expect(execute(plan, remainsOf(sim, 'online-log')).rows).toEqual(
      committedAt(sim, 1, Number(plan.redoTo)),
    );
  });

  test('without whole blocks in the log loses changes unseen: the simulator would notice a planner that allowed it', () => {
    const sim = fracture({ ...plain, wholeBlockRedo: false });
    const plan = ask(sim, 'latest', 'online-log');
    expect(execute(plan, remainsOf(sim, 'online-log')).rows).not.toEqual(
      committedAt(sim, 1, Number(plan.redoTo)),
    );
  });
});

describe('what a backup costs in redo', () => {
  const images = (kind: 'hot' | 'managed'): number => {
    const sim = createSimulation(plain);
    startBackup(sim, kind, 1);
    for (let value = 0; value < 32; value += 8)
      for (let block = 0; block < 4; block += 1) work(sim, value + block);
    return recordsOnPath(sim, 1, Infinity).filter(({ image }) => image !== undefined).length;
  };
  test('hot: one whole block for each block changed; managed: none', () => {
    expect(images('hot')).toBe(5);
    expect(images('managed')).toBe(0);
  });
});

describe('a crash in backup mode (R8)', () => {
  function crashed(): Simulation {
    const sim = createSimulation(plain);
    work(sim, 1);
    startBackup(sim, 'hot', 0);
    stepBackup(sim);
    work(sim, 2);
    work(sim, 11);
    checkpoint(sim);
    work(sim, 3);
    return sim;
  }

  test('the files look old and recovery is demanded; END BACKUP on the originals cures it, nothing is restored', () => {
    const sim = crashed();
    const originals = findFiles(sim);
    expect(demandsRecovery(sim, originals)).toBe(true);
    const cured = endBackup(sim, originals);
    expect(demandsRecovery(sim, cured)).toBe(false);
    expect(open(sim, cured)).toEqual(committedAt(sim, 1, sim.nextPosition));
  });

  test('END BACKUP on restored files passes over changes: the answer must be proven on the originals first', () => {
    const sim = createSimulation(plain);
    startBackup(sim, 'hot', 0);
    while (sim.running !== null) stepBackup(sim);
    const copied = sim.vault.backups.get('B1')!.blocks;
    work(sim, 1);
    startBackup(sim, 'hot', 0);
    work(sim, 2);
    checkpoint(sim);
    const restored = endBackup(sim, { blocks: copied, header: sim.backups[0]!.start });
    expect(open(sim, restored)).not.toEqual(committedAt(sim, 1, sim.nextPosition));
  });

  test('the interrupted backup stays a record without an end and never serves', () => {
    const sim = crashed();
    crash(sim);
    expect(sim.backups).toMatchObject([{ label: 'B1', finishedMinute: null, consistentFrom: null }]);
    expect(ask(sim, 'backup:B1', 'database').reachable).toBe(false);
  });
});

test('recovery to one record less, or by a log less, is noticed: the simulator is no rubber stamp', () => {
  const sim = createSimulation(plain);
  startBackup(sim, 'cold', 0);
  work(sim, 1);
  switchLog(sim, 0);
  work(sim, 33); // the same row
  switchLog(sim, 0);
  const stored = sim.vault.backups.get('B1')!;
  const [first, second] = sim.logs.map((log) =>
    sim.vault.logs.get(`${log.incarnation}/${log.thread}/${log.sequence}`)!,
  );
  const restore = (logs: typeof first, until: number): number[] =>
    readCommitted(rollForward(stored.blocks, logs!, 10, until));
  const all = [...first!, ...second!];
  expect(restore(all, sim.nextPosition)).toEqual(committedAt(sim, 1, sim.nextPosition));
  const commit = all.at(-1)!.position;
  expect(restore(all, commit)).not.toEqual(committedAt(sim, 1, sim.nextPosition));
  expect(() => restore(second, sim.nextPosition)).toThrow('corrupt');
});

test('the histories are worth playing: branches, gaps, kinds of backup and targets all occur', () => {
  const seen = new Map<string, number>();
  const count = (what: string, often = 1): void => void seen.set(what, (seen.get(what) ?? 0) + often);
  const stories = fc.sample(anyStory, { numRuns: 300, seed: 7 });
  for (const story of stories) {
    const sim = play(story);
    if (sim.incarnations.length > 1) count('branches');
    if (sim.incarnations.length > 2) count('branches of branches');
    if (sim.online.size > 1) count('two threads');
    for (const { kind, finishedMinute } of sim.backups) count(finishedMinute === null ? 'interrupted' : kind);
    for (const { state } of sim.logs) count(state);
    for (const { id } of sim.incarnations) {
      const plan = ask(sim, `incarnation:${id}`, 'database');
      count(plan.reachable ? 'reachable' : 'unreachable');
      if (new Set(plan.logs.map(({ incarnation }) => incarnation)).size > 1) count('through a branch');
      if (new Set(plan.logs.map(({ thread }) => thread)).size > 1) count('by two threads');
      if (plan.usesOnlineLog) count('by the online log');
      if (plan.resetDatabaseToIncarnation !== null) count('with a reset');
      if (plan.reachable && !plan.opensNewIncarnation) count('to the very end');
    }
  }
  for (const what of [
    'branches',
    'branches of branches',
    'two threads',
    'hot',
    'managed',
    'quiesced',
    'cold',
    'export',
    'interrupted',
    'available',
    'missing',
    'damaged',
    'reachable',
    'unreachable',
    'through a branch',
    'by two threads',
    'by the online log',
    'with a reset',
    'to the very end',
  ]) {
    expect(seen.get(what) ?? 0, what).toBeGreaterThan(8);
  }
});
