import { resolveBinaries } from '../../src/databases/postgres/server-binaries.ts';
import { openLocalPlace } from '../../src/databases/postgres/restore/place/local-place.ts';
import { restore } from '../../src/databases/postgres/restore/restore.ts';
import { testRunAs } from './cluster.ts';

/** A restore in a process of its own, to be killed: says each step on stdout. Arguments: archive, target. */
const [archiveDir = '', target = ''] = process.argv.slice(2);
const signal = new AbortController().signal;
const runAs = testRunAs();
const binaries = await resolveBinaries({ runAs });
await using place = openLocalPlace({ binaries, runAs, workers: 2, signal });
await restore({
  archiveDir,
  until: { kind: 'latest' },
  place,
  target,
  binaries,
  workers: 2,
  sharedBuffers: '16MB',
  signal,
  onProgress: ({ step, state }) => process.stdout.write(`${state} ${step}\n`),
});
process.stdout.write('finished\n');
