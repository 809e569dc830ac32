import { openArchive } from '../../src/archive/repository.ts';
import { takeColdBackup } from '../../src/databases/postgres/cold/backup-cold.ts';
import { openLocalCluster } from '../../src/databases/postgres/cold/local-cluster.ts';

/** Takes a cold backup until it is killed from outside. */
const [folder = '', dataDir = '', host = ''] = process.argv.slice(2);

try {
  await takeColdBackup({
    cluster: await openLocalCluster(dataDir, undefined),
    address: { engine: 'postgres', host, port: 5432, database: 'postgres', user: 'postgres' },
    archive: await openArchive(folder),
    confirmStop: async () => {},
    label: 'killed',
    workers: 1,
    compressionLevel: 19,
    now: () => new Date(),
    signal: new AbortController().signal,
  });
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
}
