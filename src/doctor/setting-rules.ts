export interface SettingRule {
  /** Of pg_settings. */
  name: string;
  severity: 'failed' | 'warning';
  /** Undefined: fine; else why not. `value` as pg_settings.setting has it, in the setting's own unit. */
  judge: (value: string, settings: ReadonlyMap<string, string>) => string | undefined;
  mend: string;
}

const on = (value: string, why: string): string | undefined => (value === 'on' ? undefined : why);

/**
 * What a PostgreSQL server must be set to for its archive to be worth something.
 * Source: PostgreSQL manual, chapters 20.5 (write ahead log), 20.6 (replication) and 26.3 (continuous archiving).
 */
export const settingRules: readonly SettingRule[] = [
  {
    name: 'wal_level',
    severity: 'failed',
    judge: (value) =>
      value === 'minimal'
        ? 'the log does not hold what recovery needs, no backup can be rolled forward'
        : undefined,
    mend: "alter system set wal_level = 'replica', then restart the server",
  },
  {
    name: 'archive_mode',
    severity: 'failed',
    judge: (value) => (value === 'off' ? 'a full log segment is thrown away instead of archived' : undefined),
    mend: "alter system set archive_mode = 'on', then restart the server",
  },
  {
    name: 'archive_library',
    severity: 'failed',
    judge: (value, settings) =>
      value === '' && ['', '(disabled)'].includes(settings.get('archive_command') ?? '')
        ? 'nothing takes the log segments away, the log area fills'
        : undefined,
    mend: "alter system set archive_library = 'basic_archive' (see docs/how-to about archiving), then reload",
  },
  { name: 'archive_command', severity: 'warning', judge: () => undefined, mend: '' },
  {
    name: 'full_page_writes',
    severity: 'failed',
    judge: (value) => on(value, 'a page torn by a crash, or copied while it was written, cannot be repaired'),
    mend: 'alter system set full_page_writes = on, then reload',
  },
  {
    name: 'fsync',
    severity: 'failed',
    judge: (value) => on(value, 'a power failure can corrupt the whole database'),
    mend: 'alter system set fsync = on, then reload',
  },
  {
    name: 'data_checksums',
    severity: 'warning',
    judge: (value) => on(value, 'a page that a disk changed is found only by chance'),
    mend: 'stop the server and run pg_checksums --enable',
  },
  {
    name: 'max_slot_wal_keep_size',
    severity: 'failed',
    judge: (value) =>
      value === '-1' ? 'a slot that nobody reads lets the log fill the disk and stops production' : undefined,
    mend: "alter system set max_slot_wal_keep_size = '10GB' (less than the free space of the log area), then reload",
  },
  {
    name: 'max_wal_senders',
    severity: 'failed',
    judge: (value) => (Number(value) < 2 ? 'a backup by the replication protocol takes two' : undefined),
    mend: 'alter system set max_wal_senders = 10, then restart the server',
  },
  {
    name: 'max_replication_slots',
    severity: 'failed',
    judge: (value) =>
      Number(value) < 1 ? 'there is no room for the slot that keeps what is not archived yet' : undefined,
    mend: 'alter system set max_replication_slots = 10, then restart the server',
  },
  {
    name: 'archive_timeout',
    severity: 'warning',
    judge: (value) =>
      value === '0'
        ? 'on a quiet day the last changes stay unarchived as long as a segment is not full'
        : undefined,
    mend: "alter system set archive_timeout = '5min', then reload",
  },
];
