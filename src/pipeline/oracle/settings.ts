import type { DatabaseAddress } from '../../databases/database.ts';
import type { OracleTools } from '../../databases/oracle/guest-tools.ts';
import type { RestoreTarget } from '../../databases/oracle/restore-target.ts';
import { joinGuest } from '../../databases/oracle/rman-text.ts';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import type { MachineFacts } from '../../machines/machines.ts';
import { resolveSecret } from '../../site/secret.ts';
import type { Site } from '../../site/site.ts';

/** What a site file says of Oracle, in the words of the adapter. */

type OracleSection = NonNullable<Site['database']['oracle']>;

export function oracleSection({ database }: Pick<Site, 'database'>): OracleSection & { home: string } {
  const { oracle } = database;
  if (oracle?.home !== undefined) return { ...oracle, home: oracle.home };
  throw new ClonaError('siteInvalid', 'database.oracle.home is missing: where are RMAN and SQL*Plus?', {
    hint: 'it is ORACLE_HOME on the machine of the database',
  });
}

/** ORACLE_SID of production's instance. */
export function liveInstance({ database }: Pick<Site, 'database'>): string {
  const instance = database.oracle?.instance ?? database.name;
  if (instance !== undefined) return instance;
  throw new ClonaError(
    'siteInvalid',
    'database.oracle.instance is missing: what is ORACLE_SID of production?',
  );
}

/** The application's schemas, as the dictionary writes them. */
export function applicationSchemas({ database }: Pick<Site, 'database'>): string[] {
  const { schemas = [], import: imported } = database.oracle ?? {};
  const named = schemas.length > 0 ? schemas : (imported?.schemas ?? []);
  if (named.length === 0) {
    throw new ClonaError(
      'siteInvalid',
      'database.oracle.schemas is missing: which schemas are the application?',
      {
        hint: 'drift of LIVE and a rollback are seen by their definitions (R18, R20)',
      },
    );
  }
  return named.map((name) => (name.startsWith('"') ? name.replaceAll('"', '') : name.toUpperCase()));
}

/** Before the first step of a run: what would be missed in a later one. */
export function requireSettings(site: Site): void {
  oracleSection(site);
  liveInstance(site);
  applicationSchemas(site);
  const { url, user } = site.database;
  if (url !== undefined || user !== undefined) return;
  throw new ClonaError('siteInvalid', 'database.user is missing: who reads LIVE and its clones?', {
    hint: 'docs/how-to/oracle-staging.md names the rights it needs',
  });
}

/** Where a restore goes on a machine. */
export function restoreTarget(site: Site, facts: Pick<MachineFacts, 'dataDisk' | 'guest'>): RestoreTarget {
  const { staging } = oracleSection(site);
  const { platform } = facts.guest;
  const onDisk = (name: string): string => joinGuest(platform, facts.dataDisk, name);
  const separator = platform === 'windows' ? '\\' : '/';
  const archives = staging.archives.length > 0 ? staging.archives : [site.archive.location];
  return {
    platform,
    databaseName: staging.name,
    instanceName: staging.instance ?? staging.name,
    dataDir: staging.dataDir ?? onDisk('oradata'),
    recoveryDir: staging.recoveryDir ?? onDisk('recovery'),
    recoveryBytes: staging.recoverySize,
    // START WITH is a prefix: without the separator /archive would take /archive2, too.
    archiveDirs: archives.map((folder) => (folder.endsWith(separator) ? folder : `${folder}${separator}`)),
    channels: staging.channels,
    memoryBytes: staging.memory,
  };
}

/** Oracle's programs on a machine; `work`: the folder of one piece of work, kept as evidence. */
export function toolsOn(
  site: Site,
  facts: Pick<MachineFacts, 'role' | 'dataDisk' | 'guest'>,
  guest: Guest,
  work: string,
  signal: AbortSignal,
): OracleTools {
  const { home, staging } = oracleSection(site);
  const isLive = facts.role === 'live';
  const folder = joinGuest(guest.platform, facts.dataDisk, 'clona-work');
  return {
    guest,
    home: isLive ? home : (staging.home ?? home),
    instanceName: isLive ? liveInstance(site) : (staging.instance ?? staging.name),
    workDir: joinGuest(guest.platform, folder, work.replaceAll(/[^A-Za-z0-9._-]/g, '.')),
    signal,
  };
}

/** How the database on a clone is read at `host` and `port`: by the clone's own service, as a user whom the restore brought. */
export async function stagingAddress(
  site: Site,
  { host, port }: { host: string; port: number },
): Promise<DatabaseAddress> {
  const { staging, timeZone } = oracleSection(site);
  const password = staging.password ?? site.database.password;
  return {
    engine: 'oracle',
    host,
    port,
    database: staging.name,
    user: staging.user ?? site.database.user ?? '',
    ...(password === undefined ? {} : { password: await resolveSecret(password) }),
    oracle: { privilege: staging.privilege, evenRestricted: true, timeZone },
  };
}

/** The same for production, by the site's own user. */
export async function productionAddress(
  site: Site,
  { host, port }: { host: string; port: number },
): Promise<DatabaseAddress> {
  const { name = '', user = '', password, oracle } = site.database;
  return {
    engine: 'oracle',
    host,
    port,
    database: name,
    user,
    ...(password === undefined ? {} : { password: await resolveSecret(password) }),
    oracle: { privilege: oracle?.privilege, evenRestricted: true, timeZone: oracle?.timeZone },
  };
}
