/**
 * What a restored cluster must not take over from the configuration it was backed up with: a copy that archives, follows,
 * runs jobs or writes to absolute paths would write production's files (R21). Pure: text in, text out.
 */

export interface ConfigurationChange {
  file: string;
  line: number;
  name: string;
  value: string;
  why: string;
}

export interface SafeConfiguration {
  text: string;
  changes: ConfigurationChange[];
  /** Files inside the data directory that are read through include: they are made safe too. */
  includes: { kind: 'file' | 'folder'; path: string }[];
}

type Rule =
  | { treat: 'off'; why: string }
  /** Off where the value is an absolute path; a relative one lies in the data directory. */
  | { treat: 'offIfAbsolute'; why: string }
  | { treat: 'withoutLibraries'; why: string };

const archiving = "a copy archives nothing: its log would mix with production's";
const following = 'a copy follows no other server';
const elsewhere = "it points out of the data directory, to where production's own files may lie";
const targets = 'it belongs to an earlier recovery';

/** By name in lower case; settings from the manual's chapter "Server Configuration". */
const rules: ReadonlyMap<string, Rule> = new Map(
  Object.entries({
    archive_mode: { treat: 'off', why: archiving },
    archive_command: { treat: 'off', why: archiving },
    archive_library: { treat: 'off', why: archiving },
    archive_timeout: { treat: 'off', why: archiving },
    'basic_archive.archive_directory': { treat: 'off', why: archiving },
    archive_cleanup_command: { treat: 'off', why: following },
    recovery_end_command: { treat: 'off', why: following },
    restore_command: { treat: 'off', why: following },
    primary_conninfo: { treat: 'off', why: following },
    primary_slot_name: { treat: 'off', why: following },
    sync_replication_slots: { treat: 'off', why: following },
    promote_trigger_file: { treat: 'off', why: following },
    synchronous_standby_names: { treat: 'off', why: "its commits would wait for production's standbys" },
    synchronized_standby_slots: { treat: 'off', why: "it would wait for production's standbys" },
    recovery_target: { treat: 'off', why: targets },
    recovery_target_name: { treat: 'off', why: targets },
    recovery_target_time: { treat: 'off', why: targets },
    recovery_target_xid: { treat: 'off', why: targets },
    recovery_target_lsn: { treat: 'off', why: targets },
    recovery_target_inclusive: { treat: 'off', why: targets },
    recovery_target_timeline: { treat: 'off', why: targets },
    recovery_target_action: { treat: 'off', why: targets },
    data_directory: { treat: 'off', why: "it names production's data directory" },
    hba_file: { treat: 'offIfAbsolute', why: elsewhere },
    ident_file: { treat: 'offIfAbsolute', why: elsewhere },
    external_pid_file: { treat: 'off', why: "it would overwrite production's" },
    unix_socket_directories: { treat: 'off', why: elsewhere },
    listen_addresses: { treat: 'off', why: "production's addresses are not this copy's" },
    log_directory: { treat: 'offIfAbsolute', why: elsewhere },
    log_filename: { treat: 'offIfAbsolute', why: elsewhere },
    bonjour: { treat: 'off', why: "it would announce itself under production's name" },
    stats_temp_directory: { treat: 'offIfAbsolute', why: elsewhere },
    ssl_cert_file: { treat: 'offIfAbsolute', why: elsewhere },
    ssl_key_file: { treat: 'offIfAbsolute', why: elsewhere },
    ssl_ca_file: { treat: 'offIfAbsolute', why: elsewhere },
    ssl_crl_file: { treat: 'offIfAbsolute', why: elsewhere },
    ssl_crl_dir: { treat: 'offIfAbsolute', why: elsewhere },
    ssl_dh_params_file: { treat: 'offIfAbsolute', why: elsewhere },
    krb_server_keyfile: { treat: 'offIfAbsolute', why: elsewhere },
    ssl_passphrase_command: { treat: 'off', why: "it runs a program of production's host" },
    max_logical_replication_workers: { treat: 'off', why: "subscriptions would consume production's slots" },
    shared_preload_libraries: {
      treat: 'withoutLibraries',
      why: "a copy runs none of production's jobs and archives nothing",
    },
  } as const satisfies Record<string, Rule>),
);

/** Libraries that act by themselves once they are loaded. */
const activeLibraries: ReadonlySet<string> = new Set([
  'pg_cron',
  'basic_archive',
  'pg_timetable',
  'pgagent',
  'pg_squeeze',
  'pg_partman_bgw',
]);

export function isActiveLibrary(library: string): boolean {
  return activeLibraries.has(libraryName(library));
}

/** Prefixes of settings of schedulers. */
const schedulerSetting = /^(cron|pg_partman_bgw|squeeze)\./;

/** Makes the text of postgresql.conf, postgresql.auto.conf or an included file safe; every change is said. */
export function makeConfigurationSafe(text: string, file: string): SafeConfiguration {
  const changes: ConfigurationChange[] = [];
  const includes: SafeConfiguration['includes'] = [];
  const lines = text.split('\n').map((line, index) => {
    const setting = readSetting(line);
    if (setting === null) return line;
    const off = (why: string): string => {
      changes.push({ file, line: index + 1, name: setting.name, value: setting.value, why });
      return `#clona# ${line}`;
    };
    const include = /^include(_if_exists|_dir)?$/.exec(setting.name);
    if (include !== null) {
      if (!staysInside(setting.value)) return off(elsewhere);
      includes.push({ kind: include[1] === '_dir' ? 'folder' : 'file', path: setting.value });
      return line;
    }
    const rule = rules.get(setting.name);
    if (rule === undefined)
      return schedulerSetting.test(setting.name) ? off("a copy runs none of production's jobs") : line;
    if (rule.treat === 'off') return off(rule.why);
    if (rule.treat === 'offIfAbsolute') return staysInside(setting.value) ? line : off(rule.why);
    const kept = listLibraries(setting.value).filter((library) => !isActiveLibrary(library));
    if (kept.length === listLibraries(setting.value).length) return line;
    return `${off(rule.why)}\n${setting.name} = '${kept.join(', ').replaceAll("'", "''")}'`;
  });
  return { text: lines.join('\n'), changes, includes };
}

/** A setting as guc-file.l reads it: the equals sign is optional, quotes are doubled or escaped inside. */
export function readSetting(line: string): { name: string; value: string } | null {
  const found = /^\s*([A-Za-z_][\w$.]*)\s*(?:=\s*|\s+)(?:'((?:[^'\\]|''|\\.)*)'|([^\s#'][^\s#]*))/.exec(line);
  if (found === null) return null;
  const [, name, quoted, bare] = found;
  const value = quoted === undefined ? (bare ?? '') : quoted.replaceAll("''", "'").replaceAll(/\\(.)/g, '$1');
  return { name: (name ?? '').toLowerCase(), value };
}

function staysInside(path: string): boolean {
  return !path.startsWith('/') && !path.split('/').includes('..') && !/^[A-Za-z]:/.test(path);
}

export function listLibraries(value: string): string[] {
  return value
    .split(',')
    .map((library) => library.trim().replace(/^"(.*)"$/, '$1'))
    .filter((library) => library !== '');
}

/** `$libdir/pg_cron`, `pg_cron.so` and `pg_cron` are one library. */
export function libraryName(library: string): string {
  return (library.split('/').at(-1) ?? '').replace(/\.(so|dylib|dll)$/, '');
}
