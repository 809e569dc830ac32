import { openArchive } from '../../src/archive/repository.ts';
import { takeBackup } from '../../src/databases/postgres/backup.ts';

/** Takes a backup and kills itself in the middle of the copy, as kill -9 does. */
const [folder = '', host = ''] = process.argv.slice(2);

await takeBackup({
  address: { engine: 'postgres', host, port: 5432, database: 'postgres', user: 'postgres' },
  archive: await openArchive(folder),
  kind: 'managed',
  label: 'killed',
  workers: 1,
  compressionLevel: 15,
  now: () => new Date(),
  onProgress: ({ step, state }) => {
    if (step === 'copying the cluster' && state === 'running') process.kill(process.pid, 'SIGKILL');
  },
});
