import { resolveBinaries } from '../../src/databases/postgres/server-binaries.ts';
import { openLocalPlace } from '../../src/databases/postgres/restore/place/local-place.ts';
import { restore } from '../../src/databases/postgres/restore/restore.ts';
import { testRunAs } from './cluster.ts';

/** A restore in a process of its own, that kills (or stops) itself at a word such as `started replay the log`. Arguments: archive, target, word, signal. */
const [archiveDir = '', target = '', word = '', signalName = 'SIGKILL'] = process.argv.slice(2);
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
  onProgress: ({ step, state }) => {
    if (`${state} ${step}` !== word) return;
    // By itself, as kill -9 does: from outside it might come when all is done, on a busy machine.
    process.stdout.write(`${word}\n`);
    process.kill(process.pid, signalName);
  },
});
