import { demandsRecovery, endBackup, findFiles, open } from '../../test/simulator/backup-mode.ts';
import { ask, remainsOf } from '../../test/simulator/history.ts';
import { execute } from '../../test/simulator/restore.ts';
import {
  checkpoint,
  committedAt,
  createSimulation,
  flush,
  startBackup,
  stepBackup,
  switchLog,
  type Simulation,
} from '../../test/simulator/simulation.ts';
import { mustBe, type Tell } from './scenario.ts';
import { work } from './work.ts';

/** Block 1 is copied in two moments, with a change written to disk between them. */
function fracture(wholeBlockRedo: boolean): Simulation {
  const sim = createSimulation({ force: false, copiesTail: false, wholeBlockRedo });
  work(sim, 8);
  startBackup(sim, 'hot', 0); // this copy reads the tail of a block before its head
  for (let step = 0; step < 3; step += 1) stepBackup(sim);
  work(sim, 24);
  work(sim, 0);
  flush(sim, 1);
  while (sim.running !== null) stepBackup(sim);
  switchLog(sim, 0);
  return sim;
}

function restored(sim: Simulation): { rows: string; truth: string } {
  const plan = ask(sim, 'latest', 'online-log');
  const { rows } = execute(plan, remainsOf(sim, 'online-log'));
  return { rows: rows.join(' '), truth: committedAt(sim, 1, Number(plan.redoTo)).join(' ') };
}

export function play(tell: Tell): void {
  tell(
    'A hot backup copies block 1 in two moments; between them two rows of it change on disk: the copy is fractured.',
  );
  const healed = restored(fracture(true));
  tell(`  whole blocks go to the log in backup mode:   restored ${healed.rows}`);
  tell(`                                               true     ${healed.truth}`);
  mustBe(healed.rows === healed.truth, 'the whole block in the log heals the fracture');
  const broken = restored(fracture(false));
  tell(`  a database that would not do that:           restored ${broken.rows}`);
  tell(
    `                                               true     ${broken.truth}   <- lost, and nobody is told`,
  );
  mustBe(broken.rows !== broken.truth, 'without whole blocks the fracture stays');

  tell('\nA crash while in backup mode (R8): the headers were frozen at its begin, the files look old.');
  const sim = createSimulation({ force: false, copiesTail: false, wholeBlockRedo: true });
  work(sim, 1);
  startBackup(sim, 'hot', 0);
  stepBackup(sim);
  work(sim, 2);
  work(sim, 11);
  checkpoint(sim);
  work(sim, 3);
  const originals = findFiles(sim);
  const truth = committedAt(sim, 1, sim.nextPosition).join(' ');
  tell(
    `  header ${originals.header}, checkpoint of the control file ${sim.checkpoint}: recovery is demanded`,
  );
  mustBe(demandsRecovery(sim, originals), 'recovery is demanded');
  const cured = open(sim, endBackup(sim, originals))?.join(' ');
  tell(`  END BACKUP on the original files, no restore: ${cured}`);
  tell(`                                          true: ${truth}`);
  mustBe(cured === truth, 'END BACKUP cures the originals');

  const copied = createSimulation({ force: false, copiesTail: false, wholeBlockRedo: true });
  startBackup(copied, 'hot', 0);
  while (copied.running !== null) stepBackup(copied);
  const copy = copied.vault.backups.get('B1')?.blocks ?? [];
  work(copied, 1);
  startBackup(copied, 'hot', 0);
  work(copied, 2);
  checkpoint(copied);
  const start = copied.backups[0]?.start ?? 0;
  const wrong = open(copied, endBackup(copied, { blocks: copy, header: start }))?.join(' ');
  const right = committedAt(copied, 1, copied.nextPosition).join(' ');
  tell('\nThe same END BACKUP on files that were restored passes over every change since the copy:');
  tell(`  opened: ${wrong ?? 'corrupt'}`);
  tell(`  true:   ${right}   <- so the files are proven to be the originals first`);
  mustBe(wrong !== right, 'END BACKUP on restored files corrupts them');
}
