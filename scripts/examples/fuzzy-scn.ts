import { readCatalog, remainsOf, ask } from '../../test/simulator/history.ts';
import { execute } from '../../test/simulator/restore.ts';
import {
  committedAt,
  createSimulation,
  startBackup,
  stepBackup,
  switchLog,
} from '../../test/simulator/simulation.ts';
import { askAndTell, mustBe, type Tell } from './scenario.ts';
import { work } from './work.ts';

export function play(tell: Tell): void {
  const sim = createSimulation({ force: true, copiesTail: false, wholeBlockRedo: true });
  work(sim, 8);
  startBackup(sim, 'managed', 0);
  // Each file is read at its own moment, while work goes on.
  for (let value = 0; sim.running !== null; value += 9) {
    stepBackup(sim);
    work(sim, value % 32);
  }
  work(sim, 17);
  switchLog(sim, 0);
  const catalog = readCatalog(sim);
  const backup = catalog.backups[0];
  const start = backup?.start ?? 0n;
  const consistent = backup?.consistentFrom ?? 0n;
  tell(
    'A managed backup reads whole blocks, but each file at its own moment. Its header keeps two positions:',
  );
  tell(`  start ${start}: the first redo that its oldest file needs`);
  tell(`  absolute fuzzy ${consistent - 1n}: the newest change that some block already has`);
  tell(`  so its files agree with each other from ${consistent} on: one beyond the fuzziness (R2)`);
  mustBe(consistent > start + 1n, 'the files were read while work went on');
  tell('\nTo the fuzziness itself: a block has a change that the others must not have yet.');
  const early = askAndTell(tell, catalog, `position:${consistent - 1n}`);
  mustBe(!early.reachable, 'not before it is consistent');
  tell('One further:');
  const plan = askAndTell(tell, catalog, `position:${consistent}`);
  mustBe(plan.reachable, 'from consistentFrom on');
  const { rows } = execute(ask(sim, `position:${consistent}`, 'database'), remainsOf(sim, 'database'));
  const truth = committedAt(sim, 1, Number(consistent));
  tell(`  restored: ${rows.join(' ')}`);
  tell(`  true:     ${truth.join(' ')}`);
  mustBe(rows.join() === truth.join(), 'the restored rows are the rows that were');
}
