// Plays a site's story with Oracle as people would call the verbs, each call repeatable: run it again after any kill and it goes on.
// Dies once (kill -9) at every place below, right after what was done there, before anybody knows of it.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../../src/databases/database.ts';
import { becomeWorker } from '../../../src/pipeline/context.ts';
import type { Operations } from '../../../src/pipeline/operations.ts';
import { promoteRelease, runRefresh, startRelease } from '../../../src/pipeline/runs.ts';
import { sign, tickChecklist } from '../../../src/pipeline/signing.ts';
import { findFreeStaging, readSiteState } from '../../../src/pipeline/site-state.ts';
import { openTestContext } from '../test-context.ts';
import { openOracleSite } from './oracle-site.ts';

const { root, name, address } = JSON.parse(process.argv[2] ?? '{}') as {
  root: string;
  name: string;
  address: DatabaseAddress;
};
const killsFile = join(root, 'kills.txt');

function dieAt(place: string): void {
  const killed = existsSync(killsFile) ? readFileSync(killsFile, 'utf8').split('\n') : [];
  if (killed.includes(place)) return;
  const file = openSync(killsFile, 'a');
  writeSync(file, `${place}\n`);
  fsyncSync(file);
  closeSync(file);
  process.kill(process.pid, 'SIGKILL');
}

/** Machine, what stands on the command line or in its input, and what that is called. */
const places: readonly [machine: string, text: string, place: string][] = [
  ['live', 'backup.rman', 'RMAN has backed LIVE up'],
  ['staging', '/nid', 'the clone has another name'],
  ['staging', 'proof.dmp', 'what was restored is exported'],
  ['live', 'up.sql', 'the kit is in LIVE'],
  ['live', 'reset-mounted.sql', 'LIVE has a new incarnation'],
];

const site = await openOracleSite(root, {
  afterCommand: (machine, argv, stdin) => {
    const found = places.find(([on, text]) => on === machine && [...argv, stdin].join(' ').includes(text));
    if (found !== undefined) dieAt(found[2]);
  },
});
const operations: Operations = {
  ...site.operations,
  revert: async (step, machine, snapshot) => {
    await site.operations.revert(step, machine, snapshot);
    if (machine === 'live') dieAt('the machine of LIVE is reverted');
  },
};
await using context = await openTestContext({
  site: name,
  folder: root,
  address,
  operations,
  policy: { departments: [{ name: 'accounting', keyUsers: ['anna'], delegates: [] }] },
});
await becomeWorker(context, { who: 'dora', what: 'story' });
if (findFreeStaging(await readSiteState(context.ledger)) === null) {
  if ((await readSiteState(context.ledger)).releases.length === 0)
    await runRefresh(context, { by: 'dora', machine: 'staging' });
}
if ((await readSiteState(context.ledger)).releases.length === 0)
  await startRelease(context, { by: 'dora', kit: join(root, 'kits', '2.1') });
const [release] = (await readSiteState(context.ledger)).releases;
if (release?.state === 'open' && (await context.ledger.list({ kinds: ['promotion.ended'] })).length === 0) {
  await tickChecklist(context, { by: 'dora' });
  await sign(context, { department: 'accounting', by: 'anna', word: 'confirm' });
  await promoteRelease(context, { by: 'dora', release: release.id });
}
