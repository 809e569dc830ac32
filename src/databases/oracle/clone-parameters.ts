/**
 * Which of production's parameters a clone takes over, each with its reason. Pure. What recovery needs and what makes the
 * application behave as in production is carried; what names a place, an address or a partner of production's is not (R21);
 * memory is held to what the clone has. Source: Database Reference, Initialization Parameters; Backup and Recovery User's
 * Guide, Performing RMAN Recovery: Advanced Scenarios (restoring to a new host).
 */

export interface ParameterDecision {
  name: string;
  /** As it stands in a parameter file, quoted where it is text; null: it is left out. */
  value: string | null;
  verdict: 'carried' | 'bounded' | 'left out';
  reason: string;
}

export interface CloneBounds {
  /** Memory of the clone's machine; null: not known, nothing is bounded. */
  machineBytes: number | null;
  /** For the instance, as the site says; wins over production's. */
  memoryBytes?: number | undefined;
}

/** Names that clona writes itself, whatever production has. */
const own: ReadonlySet<string> = new Set([
  'db_name',
  'db_unique_name',
  'compatible',
  'control_files',
  'db_create_file_dest',
  'db_recovery_file_dest',
  'db_recovery_file_dest_size',
  'log_archive_dest_1',
  'log_archive_format',
  'log_archive_config',
  'job_queue_processes',
  'aq_tm_processes',
  'open_links',
  'open_links_per_instance',
  'dg_broker_start',
  'remote_login_passwordfile',
  'undo_management',
  'enable_pluggable_database',
]);

/** What would harm, by name, with why. The first that fits counts. */
const harmful: readonly (readonly [RegExp, string])[] = [
  [/^__/, 'what the server tuned by itself for the memory of production'],
  [
    /^(?:local|remote)_listener$|^listener_networks$|^forward_listener$/,
    "it would register with production's listener and be given its clients",
  ],
  [
    /^(?:max_)?dispatchers$|^(?:max_)?shared_servers$|^shared_server_sessions$/,
    'they listen at addresses of production',
  ],
  [/^service_names$/, "clients of production's services would be served"],
  [
    /^cluster_|^instance_(?:name|number|groups|type)$|^thread$|^active_instance_count$|^gcs_server_processes$|^asm_/,
    'of the cluster: the clone is a single instance',
  ],
  [
    /^log_archive_(?:dest|duplex_dest|min_succeed_dest|start|trace|max_processes)|^standby_|^archive_lag_target$/,
    "its log goes to its own recovery area only, and never to production's archive",
  ],
  [
    /^fal_(?:server|client)$|^dg_broker_|^redo_transport_user$|^data_guard/,
    'a clone is no partner of any standby',
  ],
  [/_file_name_convert$/, 'RMAN is told every name; a rule of a standby would change them once more'],
  [/^db_create_online_log_dest_/, 'the online log lies on the disks of the clone'],
  [/^smtp_out_server$/, 'no mail leaves a clone'],
  [/^enable_goldengate_replication$|^xtended_replication/, 'a clone replicates nothing'],
  [/^ldap_directory_|^rdbms_server_dn$/, "it would ask production's directory"],
  [
    /^(?:wallet_root|tde_configuration|external_keystore_credential_location|one_step_plugin_for_pdb_with_tde)$/,
    'the keystore lies in a place of the clone',
  ],
  [/^(?:spfile|ifile)$/, 'it would read another parameter file'],
  [
    /^use_large_pages$|^lock_sga$|^pre_page_sga$|^inmemory_/,
    'the clone may lack such memory, and would not start',
  ],
  [
    /^cpu_count$|^cpu_min_count$|^parallel_(?:max|min)_servers$|^parallel_servers_target$|^db_writer_processes$/,
    'the clone has processors of its own',
  ],
  [
    /_dest$|_dest_\d+$|^utl_file_dir$|^audit_file_dest$|^plsql_native_library/,
    "a place on production's disks",
  ],
];

const needed: readonly (readonly [RegExp, string])[] = [
  [/^db_block_size$/, 'the blocks of SYSTEM and of the control file have this size'],
  [/^undo_tablespace$/, 'what has no end of its transaction is rolled back from it'],
  [/^db_files$/, 'the control file may know as many files'],
  [/^plsql_|^plscope_/, 'code is compiled as in production'],
  [/^nls_|^blank_trimming$/, 'sessions read and sort as in production'],
  [/^processes$|^sessions$|^open_cursors$|^transactions$/, 'the application needs as many'],
  [/^_/, 'set by hand in production: the application may rest on it'],
];

/** Memory of the instance; db_Nk_cache_size is needed to read blocks of another size at all. */
const memory =
  /^(?:sga_target|sga_max_size|memory_target|memory_max_target|pga_aggregate_target|pga_aggregate_limit|(?:shared_pool|large_pool|java_pool|streams_pool|db_cache|db_keep_cache|db_recycle_cache|db_\d+k_cache)_size|shared_pool_reserved_size|log_buffer|result_cache_max_size)$/;

/** Of the machine's memory: the rest is for the sessions, RMAN and the system. */
const share = 0.7;
const granuleBytes = 16 * 2 ** 20;

export function decideParameters(
  production: ReadonlyMap<string, string>,
  bounds: CloneBounds,
): ParameterDecision[] {
  const factor = memoryFactor(production, bounds);
  return [...production]
    .filter(([name]) => !own.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => decide(name, value, factor, bounds));
}

function decide(name: string, value: string, factor: number, bounds: CloneBounds): ParameterDecision {
  const leftOut = (reason: string): ParameterDecision => ({ name, value: null, verdict: 'left out', reason });
  const harm = harmful.find(([pattern]) => pattern.test(name));
  if (harm !== undefined) return leftOut(harm[1]);
  if (memory.test(name)) return decideMemory(name, value, factor, bounds);
  const need = needed.find(([pattern]) => pattern.test(name));
  if (need === undefined && /[/\\@]|^'?\+|\(|:/.test(value)) {
    return leftOut('it names a place or an address of production');
  }
  return { name, value, verdict: 'carried', reason: need?.[1] ?? 'as in production' };
}

function decideMemory(
  name: string,
  value: string,
  factor: number,
  { memoryBytes }: CloneBounds,
): ParameterDecision {
  const bytes = readBytes(value);
  const leftOut = (reason: string): ParameterDecision => ({ name, value: null, verdict: 'left out', reason });
  const isOtherCache = /^db_\d+k_cache_size$/.test(name);
  if (memoryBytes !== undefined && !isOtherCache) return leftOut('the site gives the memory of the instance');
  if (bytes === null || bytes === 0) return leftOut('the server decides by itself');
  if (factor >= 1) return { name, value, verdict: 'carried', reason: 'the clone has memory enough' };
  if (name === 'log_buffer') return leftOut('the server decides by itself');
  if (/_max_size$|_max_target$|_limit$/.test(name))
    return leftOut('it follows the memory that the clone has');
  const bounded = Math.max(granuleBytes, Math.floor((bytes * factor) / granuleBytes) * granuleBytes);
  const percent = Math.round(share * 100);
  return {
    name,
    value: String(bounded),
    verdict: 'bounded',
    reason: `production has ${value}: more than ${percent} % of the clone's memory together`,
  };
}

/** How much of production's memory fits; 1: all of it. */
function memoryFactor(production: ReadonlyMap<string, string>, { machineBytes }: CloneBounds): number {
  if (machineBytes === null) return 1;
  const of = (name: string): number => readBytes(production.get(name) ?? '') ?? 0;
  const pools = [...production].filter(([name]) => /_(?:pool|cache)_size$/.test(name));
  const pooled = pools.reduce((sum, [, value]) => sum + (readBytes(value) ?? 0), 0);
  const sga = Math.max(of('sga_target'), of('sga_max_size'), pooled);
  const wanted = Math.max(of('memory_target'), of('memory_max_target'), sga + of('pga_aggregate_target'));
  return wanted === 0 ? 1 : Math.min(1, (machineBytes * share) / wanted);
}

/** 1073741824, 1024M, '8G'. */
function readBytes(value: string): number | null {
  const match = /^'?(\d+)([KMGT]?)'?$/i.exec(value.trim());
  if (match === null) return null;
  const power = ['', 'K', 'M', 'G', 'T'].indexOf((match[2] ?? '').toUpperCase());
  return Number(match[1]) * 1024 ** power;
}

/**
 * A text parameter file, as CREATE PFILE writes it: by name, values as they stand there. What is of all instances (*.) counts,
 * else what the lowest instance has: a cluster is restored as one instance, that of thread 1. Lines that go on (a comma or an
 * opening bracket at their end) are put together.
 */
export function parseParameterFile(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, { owner: string; value: string }>();
  const joined = text.replaceAll(/[,(]\s*\r?\n\s*/g, (end) => end.trimEnd().slice(0, 1));
  for (const line of joined.split(/\r?\n/)) {
    const match = /^\s*(?:(\*|[\w$#-]+)\.)?([\w$]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (match === null || line.trimStart().startsWith('#')) continue;
    const [, owner = '*', name = '', value = ''] = match;
    const known = found.get(name.toLowerCase());
    if (known !== undefined && !isBefore(owner, known.owner)) continue;
    found.set(name.toLowerCase(), { owner, value });
  }
  return new Map([...found].map(([name, { value }]) => [name, value]));
}

function isBefore(owner: string, than: string): boolean {
  if (than === '*') return false;
  return owner === '*' || owner.localeCompare(than, 'en', { numeric: true }) < 0;
}

/** V$PARAMETER.VALUE as it stands in a parameter file: numbers and TRUE bare, everything else quoted. */
export function asFileValue(value: string): string {
  return /^(?:\d+[KMGT]?|TRUE|FALSE)$/i.test(value) ? value : `'${value}'`;
}
