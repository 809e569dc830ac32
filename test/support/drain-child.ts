import { openArchive } from '../../src/archive/repository.ts';
import { connect } from '../../src/databases/postgres/connect.ts';
import { drainSpool } from '../../src/databases/postgres/log-archive.ts';

/** Drains a spool and kills itself, as kill -9 does, at the event whose number is given. */
const [spoolDir = '', archive = '', mirror = '', host = '', stopAt = ''] = process.argv.slice(2);
let left = Number(stopAt);

await using session = await connect({
  engine: 'postgres',
  host,
  port: 5432,
  database: 'postgres',
  user: 'postgres',
});
await drainSpool({
  spoolDir,
  archive: await openArchive(archive),
  mirror: await openArchive(mirror),
  slot: { session, name: 'clona_log' },
  now: () => new Date(),
  onProgress: () => {
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  },
});
