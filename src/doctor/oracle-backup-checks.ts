import type { ControlFileRows, RowOf } from '../databases/oracle/control-file.ts';
import { showInstant, toInstant } from '../recovery/instant.ts';
import { isWhole } from '../recovery/serve.ts';
import { formatDuration, formatSize } from '../site/units.ts';
import { failed, ok, warning, type Finding } from './check.ts';
import { onOracle } from './on-oracle.ts';

/** R12. Full and reclaimable is not full: 99 % used can be 99 % reclaimable. */
export const oracleRecoveryArea = onOracle(({ rows }, { site }) => {
  const [area] = rows.recoveryArea;
  const limit = Number(area?.limit ?? 0);
  if (area === undefined || limit === 0) {
    return [
      warning(
        'there is no recovery area: no flashback, no guaranteed restore point',
        'set DB_RECOVERY_FILE_DEST_SIZE and DB_RECOVERY_FILE_DEST',
      ),
    ];
  }
  const held = Number(area.used ?? 0) - Number(area.reclaimable ?? 0);
  const percent = Math.floor((held / limit) * 100);
  const said = `the recovery area is ${percent} % held (${formatSize(held)} of ${formatSize(limit)}, ${formatSize(Number(area.reclaimable ?? 0))} more are reclaimable${heldMost(rows)})`;
  const mend =
    'raise DB_RECOVERY_FILE_DEST_SIZE, or back up and delete through RMAN; never delete its files by hand';
  const { yellow, red } = site.archive.zone;
  if (percent >= red) return [failed(said, mend, 6)];
  return [percent >= yellow ? warning(said, mend) : ok(said)];
});

/** Which kind of file holds most of it that cannot be thrown away. */
function heldMost({ areaUsage }: ControlFileRows): string {
  const held = areaUsage
    .map(({ type, used, reclaimable }) => ({ type, percent: Number(used ?? 0) - Number(reclaimable ?? 0) }))
    .sort((a, b) => b.percent - a.percent);
  const [most] = held;
  if (most === undefined || most.percent <= 0) return '';
  return `; most by ${(most.type ?? '').toLowerCase()}s: ${Math.round(most.percent)} %`;
}

/** R8. */
export const oracleBackupMode = onOracle(async ({ rows }, { site }) => {
  const active = rows.backupMode.filter(({ status }) => status === 'ACTIVE');
  if (active.length === 0) return [ok('no datafile is in backup mode')];
  const { warnOfLeftBackupMode } = await import('../databases/oracle/cure-left.ts');
  const ours = await warnOfLeftBackupMode(rows, site.archive.location);
  if (ours !== null) return [warning(ours, 'clona backup, or by hand: ALTER DATABASE END BACKUP')];
  const since = active.map(({ time }) => time ?? '').sort()[0];
  return [
    warning(
      `${active.length} datafiles are in backup mode since ${since ?? 'some time'} (server time): they look old after a crash, and every change costs more redo`,
      'if no backup runs: ALTER DATABASE END BACKUP; after a crash, too, and never a restore',
    ),
  ];
});

export const oracleLastBackup = onOracle(({ catalog, nowMs }, { site }) => {
  const usable = catalog.backups.filter((backup) => isWhole(backup) && backup.state === 'available');
  const newest = usable
    .map(({ finishedAt }) => toInstant(finishedAt ?? '') ?? 0)
    .reduce((a, b) => Math.max(a, b), 0);
  const bad = catalog.backups.filter(({ state, finishedAt }) => state !== 'available' && finishedAt !== null);
  const gone =
    bad.length === 0
      ? []
      : [
          warning(
            `${bad.length} backups cannot be read: ${bad
              .slice(0, 3)
              .map(({ label, state }) => `${label} is ${state}`)
              .join(', ')}`,
            'CROSSCHECK BACKUP; clona catalog shows them all',
          ),
        ];
  if (newest === 0)
    return [
      failed('there is no whole backup of the database that can be read', 'BACKUP DATABASE PLUS ARCHIVELOG'),
      ...gone,
    ];
  const said = `the newest whole backup is of ${showInstant(newest)}`;
  const isOld = nowMs - newest > site.archive.maximumAge;
  return [
    isOld
      ? warning(
          `${said}: older than ${formatDuration(site.archive.maximumAge)}`,
          'does its job still run, and does its log say so (clona prove --job-log)?',
        )
      : ok(said),
    ...gone,
  ];
});

/** R14: a log that lies once and in no backup is lost with that one disk, and with it every target behind it. */
export const oracleLogCopies = onOracle(({ rows, clock, nowMs }, { site }) => {
  const copies = new Map<string, { count: number; backups: number; since: number }>();
  for (const {
    thread,
    sequence,
    resetlogs,
    name,
    status,
    deleted,
    standby,
    backups,
    nextTime,
  } of rows.archivedLogs) {
    if (name === null || status !== 'A' || deleted === 'YES' || standby === 'YES' || backups === null)
      continue;
    const key = `${resetlogs ?? ''}/${thread ?? ''}/${sequence ?? ''}`;
    const known = copies.get(key) ?? {
      count: 0,
      backups: 0,
      since: toInstant(clock(nextTime) ?? '') ?? nowMs,
    };
    copies.set(key, { ...known, count: known.count + 1, backups: Math.max(known.backups, Number(backups)) });
  }
  const once = [...copies.values()].filter(
    ({ count, backups, since }) => count === 1 && backups === 0 && nowMs - since > site.archive.maximumAge,
  );
  if (copies.size === 0) return [];
  if (once.length === 0) return [ok('no archived log lies in one place alone, in no backup, for long')];
  return [
    warning(
      `${once.length} archived logs older than ${formatDuration(site.archive.maximumAge)} lie in one place alone, and in no backup`,
      'BACKUP ARCHIVELOG ALL, or a second LOG_ARCHIVE_DEST_n',
    ),
  ];
});

export const oracleCorruption = onOracle(({ corruption, rows }) => {
  const broken = rows.datafileHeaders.filter(({ error }) => error !== null);
  const found = broken.map(({ file, error }) =>
    failed(`datafile ${file ?? ''}: ${error ?? ''}`, 'restore it, or find its disk', 6),
  );
  if (corruption.length === 0)
    return [
      ...found,
      ok('V$DATABASE_BLOCK_CORRUPTION is empty (it knows what a backup or VALIDATE has read)'),
    ];
  const blocks = corruption.reduce((sum, one) => sum + one.blocks, 0);
  const files = [...new Set(corruption.map(({ file, kind }) => `${file} (${kind})`))];
  return [
    ...found,
    failed(
      `${blocks} corrupt blocks in datafiles ${files.join(', ')}`,
      'RECOVER CORRUPTION LIST in RMAN; NOLOGGING ones need a load again, and a new backup',
      6,
    ),
  ];
});

/** R9. */
export const oracleUnrecoverable = onOracle(({ rows, catalog }) => {
  const newest = catalog.backups
    .filter((backup) => isWhole(backup) && backup.state === 'available')
    .reduce<bigint>((high, { start }) => (start !== null && start > high ? start : high), 0n);
  const changed = rows.datafiles.filter(({ unrecoverable }) => BigInt(unrecoverable ?? '0') > newest);
  if (changed.length === 0) return [ok('no change without redo (NOLOGGING) since the newest backup')];
  return [
    warning(
      `changed without redo (NOLOGGING) since the newest backup, and not recoverable from it: ${changed.slice(0, 3).map(nameOf).join(', ')}${changed.length > 3 ? ` and ${changed.length - 3} more` : ''}`,
      'back these datafiles up now',
    ),
  ];
});

const nameOf = ({ file, name }: RowOf<'datafiles'>): string => name ?? `file ${file ?? ''}`;

export const oracleRman = onOracle(({ configuration, rows }, { site }) => {
  const valueOf = (name: string): string | undefined => configuration.find((one) => one.name === name)?.value;
  const { redundancy, windowDays } = site.archive.retention;
  const version = Number((rows.instance[0]?.version ?? '').split('.').slice(0, 2).join('.'));
  const found: Finding[] = [];
  const autobackup = valueOf('CONTROLFILE AUTOBACKUP') ?? (version >= 12.2 ? 'ON' : 'OFF');
  if (autobackup === 'ON') found.push(ok('the control file is backed up by itself'));
  else
    found.push(
      failed(
        'CONTROLFILE AUTOBACKUP is off: without a control file a restore does not even begin',
        'CONFIGURE CONTROLFILE AUTOBACKUP ON',
      ),
    );
  const policy = valueOf('RETENTION POLICY') ?? 'TO REDUNDANCY 1';
  const days = Number(/RECOVERY WINDOW OF (\d+)/.exec(policy)?.[1] ?? 0);
  const count = Number(/REDUNDANCY (\d+)/.exec(policy)?.[1] ?? 0);
  const weaker =
    policy !== 'TO NONE' &&
    (days > 0 ? days < windowDays || redundancy > 1 : count < redundancy || windowDays > 0);
  const ours = `redundancy ${redundancy}, ${windowDays} days`;
  if (weaker) {
    found.push(
      warning(
        `RMAN keeps ${policy.replace('TO ', '').toLowerCase()}, this site ${ours}: what RMAN calls obsolete the recovery area throws away by itself`,
        windowDays > 0
          ? `CONFIGURE RETENTION POLICY TO RECOVERY WINDOW OF ${Math.max(windowDays, 1)} DAYS, or TO NONE`
          : `CONFIGURE RETENTION POLICY TO REDUNDANCY ${redundancy}, or TO NONE`,
      ),
    );
  } else found.push(ok(`RMAN keeps ${policy.replace('TO ', '').toLowerCase()}, this site ${ours}`));
  const keep = Number(
    rows.parameters.find(({ name }) => name === 'control_file_record_keep_time')?.value ?? 7,
  );
  if (keep < windowDays) {
    found.push(
      warning(
        `the control file may forget after ${keep} days, the policy looks back ${windowDays}: what it forgets clona remembers, if clona catalog runs in time`,
        `ALTER SYSTEM SET control_file_record_keep_time = ${windowDays + 7}`,
      ),
    );
  }
  return found;
});

export const oracleRights = onOracle(({ surplus, address }) => {
  const privilege = address.oracle?.privilege ?? 'normal';
  // SYSBACKUP brings its rights along; SYSDBA brings all there are.
  if (privilege === 'sysbackup') return [ok(`${address.user} connects with SYSBACKUP`)];
  if (surplus.length === 0) return [ok(`${address.user} may do no more than clona needs`)];
  return [
    warning(
      `${address.user} may do more than clona needs: ${surplus.slice(0, 5).join(', ')}`,
      'a user of its own with the grants of docs/how-to/oracle.md',
    ),
  ];
});
