import type { ArchiveIdentity } from '../../archive/repository.ts';
import type { ServerRequirements } from '../../archive/format.ts';
import type { DatabaseAddress } from '../database.ts';
import { connect, type Connection } from './connect.ts';

export interface ServerFacts {
  systemIdentifier: string;
  segmentSizeBytes: number;
  /** As server_version_num. */
  serverVersion: number;
  dataDirectory: string;
  isStandby: boolean;
  user: string;
}

/** What a backup must know of the server; every role may ask for it but the data directory (empty then). */
export async function readServerFacts(session: Connection): Promise<ServerFacts> {
  const [row] = await session.query<
    Record<'system' | 'segment' | 'version' | 'directory' | 'standby' | 'who', string>
  >(
    `SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()) AS system,
            (SELECT bytes_per_wal_segment FROM pg_catalog.pg_control_init()) AS segment,
            pg_catalog.current_setting('server_version_num') AS version,
            coalesce((SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory'), '') AS directory,
            pg_catalog.pg_is_in_recovery()::text AS standby,
            current_user AS who`,
  );
  // One row without a FROM is always there.
  const { system, segment, version, directory, standby, who } = row!;
  return {
    systemIdentifier: system,
    segmentSizeBytes: Number(segment),
    serverVersion: Number(version),
    dataDirectory: directory,
    isStandby: standby === 'true',
    user: who,
  };
}

/** Whose archive it is: for openOrCreateArchive. */
export async function readArchiveIdentity(
  address: DatabaseAddress,
  signal?: AbortSignal,
): Promise<ArchiveIdentity> {
  await using session = await connect(address, signal);
  const { systemIdentifier, segmentSizeBytes } = await readServerFacts(session);
  return { database: address.database, systemIdentifier, segmentSizeBytes };
}

const settingNames = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
];

/** What another server must offer before it may open this cluster (backup.json). Asks every database that can be entered. */
export async function readRequirements(
  address: DatabaseAddress,
  session: Connection,
  signal?: AbortSignal,
): Promise<ServerRequirements> {
  const settings = await session.query<{ name: string; setting: string }>(
    `SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY($1)`,
    [settingNames],
  );
  const [others] = await session.query<Record<'preload' | 'checksums' | 'block', string>>(
    `SELECT coalesce((SELECT setting FROM pg_catalog.pg_settings WHERE name = 'shared_preload_libraries'), '') AS preload,
            pg_catalog.current_setting('data_checksums') AS checksums,
            pg_catalog.current_setting('block_size') AS block`,
  );
  const databases = await session.query<{ name: string; provider: string; version: string | null }>(
    `SELECT datname AS name, datlocprovider::text AS provider, datcollversion AS version
       FROM pg_catalog.pg_database
      WHERE datallowconn AND pg_catalog.has_database_privilege(oid, 'CONNECT') ORDER BY datname`,
  );
  const extensions: ServerRequirements['extensions'] = [];
  const collations: ServerRequirements['collations'] = [];
  for (const { name: database, provider, version } of databases) {
    collations.push({ database, name: 'default', provider: providerNames[provider] ?? provider, version });
    await using inside = await connect({ ...address, database }, signal);
    const found = await inside.query<{ name: string; version: string }>(
      `SELECT extname AS name, extversion AS version FROM pg_catalog.pg_extension ORDER BY extname`,
    );
    extensions.push(...found.map((row) => ({ database, ...row })));
    const used = await inside.query<{ name: string; provider: string; version: string }>(usedCollations);
    for (const row of used) {
      collations.push({ ...row, database, provider: providerNames[row.provider] ?? row.provider });
    }
  }
  return {
    settings: Object.fromEntries(settings.map((row) => [row.name, Number(row.setting)])),
    preloadLibraries: splitList(others?.preload ?? ''),
    extensions,
    collations,
    dataChecksums: others?.checksums === 'on',
    blockSizeBytes: Number(others?.block),
  };
}

const providerNames: Readonly<Record<string, string>> = { c: 'libc', i: 'icu', b: 'builtin', d: 'default' };

/** Only those that an index, a column or a domain stands on: hundreds of others are merely listed by the system. */
const usedCollations = `
  SELECT c.collname AS name, c.collprovider::text AS provider, c.collversion AS version
    FROM pg_catalog.pg_collation c
   WHERE c.collversion IS NOT NULL
     AND (c.oid IN (SELECT attcollation FROM pg_catalog.pg_attribute WHERE attrelid >= 16384)
       OR c.oid IN (SELECT unnest(indcollation::oid[]) FROM pg_catalog.pg_index WHERE indexrelid >= 16384)
       OR c.oid IN (SELECT typcollation FROM pg_catalog.pg_type WHERE oid >= 16384))
   ORDER BY 1, 2`;

export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim().replace(/^"(.*)"$/, '$1'))
    .filter((name) => name !== '');
}

/** Counters of pg_stat_wal: what the server wrote since it counts. */
export async function readLogWork(
  session: Connection,
): Promise<{ fullPageImages: number; logBytes: number }> {
  const [row] = await session.query<{ images: string; bytes: string }>(
    `SELECT wal_fpi::text AS images, wal_bytes::text AS bytes FROM pg_catalog.pg_stat_wal`,
  );
  return { fullPageImages: Number(row?.images ?? 0), logBytes: Number(row?.bytes ?? 0) };
}
