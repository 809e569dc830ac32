import { chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { installErp } from '../../examples/erp/install.ts';
import { loadErp } from '../../examples/erp/load.ts';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import { startGuestServer } from '../../src/databases/postgres/guest-server.ts';
import { resolveBinaries, type RunAs } from '../../src/databases/postgres/server-binaries.ts';
import { initCluster } from '../../src/databases/postgres/server-cluster.ts';
import { openGuest } from '../../src/guest/open.ts';
import { createLocalMachine } from '../../src/machines/local/create.ts';
import type { MachineFacts } from '../../src/machines/machines.ts';

export interface Production {
  facts: MachineFacts;
  address: DatabaseAddress;
  rows: number;
}

/**
 * The machine that a firm already has before it meets clona: a system disk with the ERP's program, a data disk with
 * its database and the spool of its log, people at work. It is made by the platform's own functions, not by Pulumi:
 * production is never clona's to create or destroy.
 */
export async function createProduction(root: string, name: string, signal: AbortSignal): Promise<Production> {
  const facts = await createLocalMachine({ root, name, role: 'live' }, signal);
  const runAs = await ownerOf(facts.dataDisk);
  const binaries = await resolveBinaries({ runAs });
  const dataDir = join(facts.dataDisk, 'pg');
  const spool = join(facts.dataDisk, 'spool');
  await mkdir(spool, { recursive: true });
  if (runAs !== undefined) await chown(spool, runAs.uid, runAs.gid);
  await initCluster({
    binaries,
    dataDir,
    runAs,
    signal,
    // A small firm's log: a segment is archived whole, however little is in it.
    walSegmentSizeMegabytes: 1,
    settings: serverSettings(spool),
  });
  await startProduction(facts, signal);
  const { rows } = await loadErp(facts.database);
  await using guest = await openGuest(facts.guest, signal);
  await installErp(guest, facts.systemDisk, signal);
  return { facts, address: facts.database, rows };
}

/** Starts the database of a machine that has power. */
export async function startProduction(facts: MachineFacts, signal: AbortSignal): Promise<void> {
  const binaries = await resolveBinaries({ runAs: await ownerOf(facts.dataDisk) });
  await using guest = await openGuest(facts.guest, signal);
  const { host, port } = facts.database;
  await startGuestServer(
    { guest, binaries, dataDir: join(facts.dataDisk, 'pg'), socketDir: host, port },
    { signal },
  );
}

/** What docs/how-to/postgres.md asks of a production server, sized for a laptop. */
function serverSettings(spool: string): Record<string, string | number> {
  return {
    shared_buffers: '64MB',
    max_connections: 50,
    wal_level: 'replica',
    max_wal_senders: 10,
    max_replication_slots: 10,
    max_slot_wal_keep_size: '2GB',
    archive_mode: 'on',
    archive_library: 'basic_archive',
    'basic_archive.archive_directory': spool,
    archive_timeout: '60s',
    full_page_writes: 'on',
  };
}

async function ownerOf(folder: string): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(folder);
  return { uid, gid };
}
