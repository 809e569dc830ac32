import { ClonaError } from '../../errors.ts';
import { asFileValue, decideParameters, type ParameterDecision } from './clone-parameters.ts';
import { joinGuest, quoteRman, requireDatabaseName } from './rman-text.ts';
import type { RestoreFacts } from './restore-facts.ts';

/** The machine a restore goes to: always a clone, never production. Paths are the guest's own. */
export interface RestoreTarget {
  platform: 'linux' | 'windows';
  /** DB_NAME of the clone once it is its own: another one than production's. */
  databaseName: string;
  /** ORACLE_SID of the clone's instance. */
  instanceName: string;
  /** Datafiles, control file, online log. Empty, on the clone's own disks. */
  dataDir: string;
  /** An own recovery area, empty: what lies in a foreign one would be cataloged by the server itself. */
  recoveryDir: string;
  recoveryBytes: number;
  /** Where the clone sees backups and archived logs, read-only. */
  archiveDirs: readonly string[];
  /** More than one is a feature of Enterprise Edition. */
  channels: number;
  /** For the instance; undefined: the server's default. */
  memoryBytes?: number | undefined;
}

export function controlFilePath(target: RestoreTarget): string {
  return joinGuest(target.platform, target.dataDir, 'control01.ctl');
}

/** Whose instance this is: before nid it must be called as production is, or its control file does not mount. */
export type InstanceStage = 'as-production' | 'as-clone';

/**
 * The parameter file of the clone: its own places and its fence, and of production's what `decideParameters` carries over: no
 * archive destination, no standby, no listener; no job runs, no mail leaves (R21).
 */
export function writeParameterFile(
  facts: RestoreFacts,
  target: RestoreTarget,
  stage: InstanceStage,
  { decisions = decideFromFacts(facts, target), walletRoot }: ParameterChoices = {},
): string {
  const { databaseName, recoveryBytes, memoryBytes } = target;
  const own = requireDatabaseName(databaseName);
  if (own === facts.name.toUpperCase()) {
    throw new ClonaError('usage', `the clone is to be called ${own}, as production is`, {
      hint: 'a clone has a name of its own, so that it is never taken for production',
    });
  }
  const lines: [string, string][] = [
    ['db_name', quoteRman(stage === 'as-clone' ? own : facts.name, 'the name of the database')],
    ['db_unique_name', quoteRman(own, 'the name of the clone')],
    ['compatible', quoteRman(facts.compatible === '' ? '12.1.0' : facts.compatible, 'compatible')],
    ['control_files', quoteRman(controlFilePath(target), 'dataDir')],
    ['db_create_file_dest', quoteRman(target.dataDir, 'dataDir')],
    ['db_recovery_file_dest_size', String(requireBytes(recoveryBytes, 'recoveryBytes'))],
    ['db_recovery_file_dest', quoteRman(target.recoveryDir, 'recoveryDir')],
    ['log_archive_dest_1', "'LOCATION=USE_DB_RECOVERY_FILE_DEST'"],
    ['log_archive_format', "'%t_%s_%r.arc'"],
    ['log_archive_config', "'NODG_CONFIG'"],
    // The fence, from the first start on (fence/items.ts tests it): no jobs, no queues, no database links.
    ['job_queue_processes', '0'],
    ['aq_tm_processes', '0'],
    ['open_links', '0'],
    ['open_links_per_instance', '0'],
    ['dg_broker_start', 'FALSE'],
    ['remote_login_passwordfile', "'EXCLUSIVE'"],
    ['undo_management', "'AUTO'"],
    ...(facts.cdb ? [['enable_pluggable_database', 'TRUE'] satisfies [string, string]] : []),
    ...(memoryBytes === undefined
      ? []
      : [['sga_target', String(requireBytes(memoryBytes, 'memoryBytes'))] satisfies [string, string]]),
  ];
  const carried = decisions.flatMap(({ name, value }): [string, string][] =>
    value === null || lines.some(([mine]) => mine === name) ? [] : [[name, value]],
  );
  const keystore: [string, string][] =
    walletRoot === undefined
      ? []
      : [
          ['wallet_root', quoteRman(walletRoot, 'the folder of the keystore')],
          ['tde_configuration', "'KEYSTORE_CONFIGURATION=FILE'"],
        ];
  const all = [...lines, ...keystore, ...carried];
  return `${all.map(([name, value]) => `*.${name}=${value}`).join('\n')}\n`;
}

export interface ParameterChoices {
  /** What of production's is carried over; default: what the catalog remembers of them. */
  decisions?: readonly ParameterDecision[];
  /** Of a clone with a keystore of its own (18c and newer). */
  walletRoot?: string | undefined;
}

/** From what was remembered of V$PARAMETER; what stands in a parameter file that the site keeps counts before it. */
export function decideFromFacts(
  { parameters = {} }: RestoreFacts,
  { memoryBytes }: RestoreTarget,
  machineBytes: number | null = null,
  kept: ReadonlyMap<string, string> | null = null,
): ParameterDecision[] {
  const values = Object.entries(parameters).map(([name, value]): [string, string] => [
    name,
    asFileValue(value),
  ]);
  return decideParameters(new Map([...values, ...(kept ?? [])]), { machineBytes, memoryBytes });
}

function requireBytes(bytes: number, what: string): number {
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new ClonaError('usage', `${what} is no number of bytes`);
}
