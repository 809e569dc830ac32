// Plays a site's whole story as people would call the verbs, each call repeatable: run it again after any kill and
// it goes on. CLONA_KILLS=FILE: dies once (kill -9) at every place that FILE does not name yet, and adds it there.
import { appendFileSync, closeSync, fsyncSync, openSync, readFileSync, writeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import type { Context } from '../../src/pipeline/context.ts';
import { promoteRelease, rollBackRelease, runRefresh, startRelease } from '../../src/pipeline/runs.ts';
import { sign, tickChecklist } from '../../src/pipeline/signing.ts';
import { findFreeStaging, readSiteState, type ReleaseState } from '../../src/pipeline/site-state.ts';
import { becomeWorker } from '../../src/pipeline/context.ts';
import { createFileOperations, type KillPoint } from './file-operations.ts';
import { openTestContext } from './test-context.ts';

const { folder, address, site, killAfterRecord } = JSON.parse(process.argv[2] ?? '{}') as {
  folder: string;
  address: DatabaseAddress;
  site: string;
  killAfterRecord?: boolean;
};
const killsFile = join(folder, 'kills.txt');

const killPoint: KillPoint = (operation, phase) => {
  const place = `${operation}:${phase}`;
  const killed = existsSync(killsFile) ? readFileSync(killsFile, 'utf8').split('\n') : [];
  if (process.env['CLONA_KILLS'] === undefined || killed.includes(place)) return;
  if (!process.env['CLONA_KILLS'].split(',').includes(phase)) return;
  const file = openSync(killsFile, 'a');
  writeSync(file, `${place}\n`);
  fsyncSync(file);
  closeSync(file);
  process.kill(process.pid, 'SIGKILL');
};

const context = await openTestContext({
  site,
  folder,
  address,
  operations: createFileOperations(folder, killPoint),
});
if (killAfterRecord === true) dieAfterRecords(context);
// Whatever was interrupted is carried on first, as any verb does that changes something.
await becomeWorker(context, { who: 'dora', what: 'story' });
await play('good@2.1');
await play('fails-on-live@2.2');
await takeBackTheFirst();
appendFileSync(join(folder, 'played.txt'), 'played\n');
await context[Symbol.asyncDispose]();
// A release that waits for people leaves a timer of ten seconds.
process.exit();

async function play(kit: string): Promise<void> {
  const name = kit.replace('@', ' ');
  let release = await findRelease(name);
  if (release === undefined) {
    if (findFreeStaging(await readSiteState(context.ledger)) === null) {
      await runRefresh(context, { by: 'dora', machine: 'staging' });
    }
    await startRelease(context, { by: 'dora', kit });
    release = await findRelease(name);
  }
  if (release?.state !== 'open') return;
  await tickChecklist(context, { by: 'dora' });
  await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  await sign(context, { department: 'warehouse', by: 'wim', word: 'confirm' });
  await promoteRelease(context, { by: 'dora', release: release.id });
}

/** After the opening, with what would be lost named. */
async function takeBackTheFirst(): Promise<void> {
  const release = await findRelease('good 2.1');
  if (release?.state !== 'promoted' || release.promotion === null) return;
  const bearing = await context.ledger.find(`${release.promotion}/bearing`);
  const { position } = bearing!.payload as { position: string };
  await rollBackRelease(context, { by: 'dora', loseChangesSince: position });
}

async function findRelease(kit: string): Promise<ReleaseState | undefined> {
  return (await readSiteState(context.ledger)).releases.find(
    (release) => release.kit === kit || release.kit === kit.replace(' ', '@'),
  );
}

/** The other gap: the result is in the ledger, and DBOS does not know yet. */
function dieAfterRecords({ ledger }: Context): void {
  const append = ledger.append.bind(ledger);
  ledger.append = async (entry, now) => {
    const record = await append(entry, now);
    killPoint(`record-${entry.kind}`, 'after');
    return record;
  };
}
