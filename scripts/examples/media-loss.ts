import { ask, readCatalog, remainsOf } from '../../test/simulator/history.ts';
import { execute } from '../../test/simulator/restore.ts';
import {
  committedAt,
  createSimulation,
  startBackup,
  stepBackup,
  switchLog,
  type Kind,
  type Simulation,
} from '../../test/simulator/simulation.ts';
import { sketchHistory } from '../../src/recovery/picture/terminal.ts';
import type { Lost } from '../../src/recovery/question.ts';
import { askAndTell, mustBe, type Tell } from './scenario.ts';
import { work } from './work.ts';

/** A backup of this kind between two archived logs, and work in the online log after it. */
function history(kind: Kind): Simulation {
  const sim = createSimulation({ force: false, copiesTail: false, wholeBlockRedo: true });
  work(sim, 8);
  switchLog(sim, 0);
  startBackup(sim, kind, 1); // without a log of its own
  for (let value = 1; sim.running !== null; value += 8) {
    if (kind === 'hot' || kind === 'managed') work(sim, value % 32);
    stepBackup(sim);
  }
  work(sim, 18);
  switchLog(sim, 0);
  work(sim, 27);
  return sim;
}

const losses: [Lost, string][] = [
  ['database', 'the database is lost, every log is there: nothing is lost'],
  ['online-log', 'the online log is lost, too: up to the end of the archived log'],
  ['everything', 'database and every log are lost'],
];

/** What is left in each case (R7). */
export function play(tell: Tell): void {
  tell(sketchHistory(readCatalog(history('hot'))));
  for (const [lost, words] of losses) {
    tell(`\n${words}:`);
    for (const kind of ['hot', 'managed', 'quiesced'] as const) {
      const sim = history(kind);
      tell(` with a ${kind} backup`);
      const plan = askAndTell(tell, readCatalog(sim), 'latest', lost);
      const alone = lost === 'everything';
      mustBe(plan.reachable === (!alone || kind === 'quiesced'), `${lost} with a ${kind} backup`);
      if (!plan.reachable) continue;
      const end = Number(plan.target.until ?? 0n);
      const { rows } = execute(ask(sim, 'latest', lost), remainsOf(sim, lost));
      const truth = committedAt(sim, 1, end);
      tell(
        `    rows: ${rows.join(' ')}${end < sim.nextPosition ? `   (lost: ${end} to ${sim.nextPosition})` : ''}`,
      );
      mustBe(rows.join() === truth.join(), 'the restored rows are the rows that were');
    }
  }
  tell(
    '\nA hot or managed backup without its log is nothing; one that is consistent by itself is better than nothing.',
  );
}
