import { failed, ok, warning, type Finding, type Patient } from './check.ts';
import { onOracle } from './on-oracle.ts';

/** The one that reports that there is no way in, with the grants that are missing. */
export async function oracleReachable(patient: Patient): Promise<Finding[]> {
  if (patient.site.database.engine !== 'oracle' || patient.oracle === undefined) return [];
  const { address, warnings } = await patient.oracle();
  const { describeOracle } = await import('../databases/oracle/connect.ts');
  return [
    ok(`production answers at ${describeOracle(address)}, every view that clona needs may be read`),
    ...warnings.slice(0, 5).map((said) => warning(said, 'see docs/how-to/oracle.md')),
  ];
}

export const oracleVersion = onOracle(({ rows, banner, options }) => {
  const version = rows.instance[0]?.version ?? '';
  const major = Number(version.split('.')[0]);
  const edition = /Enterprise/i.test(banner)
    ? 'Enterprise'
    : /Express|XE\b|Free/i.test(banner)
      ? 'Express'
      : 'Standard';
  const found = [
    major >= 12
      ? ok(`Oracle Database ${version}, ${edition} Edition`)
      : failed(`Oracle Database ${version}: the driver speaks with 12.1 and newer`, 'upgrade the server'),
  ];
  const paid = licensed.filter((name) => options.has(name));
  if (paid.length > 0) {
    found.push(
      ok(`options that cost, installed and never used by clona unless a site says so: ${paid.join(', ')}`),
    );
  }
  const state = rows.instance[0]?.activeState ?? 'NORMAL';
  if (state !== 'NORMAL') {
    found.push(
      warning(
        `the server is ${state.toLowerCase()}: nobody but SYS and SYSTEM can work`,
        'ALTER SYSTEM UNQUIESCE, unless a quiesced backup runs (clona backup ends what one left)',
      ),
    );
  }
  if (rows.instance[0]?.parallel === 'YES') {
    found.push(
      warning(
        'the database is a cluster (RAC): every thread of its log is needed by every restore',
        'see that all threads archive to a place that clona sees',
      ),
    );
  }
  return found;
});

/** Of V$OPTION: what backup, restore and import would use, and what must be licensed for it. */
const licensed = [
  'Parallel backup and recovery',
  'Block Change Tracking',
  'Flashback Database',
  'Advanced Compression',
  'Unused Block Compression',
  'Active Data Guard',
  'Transparent Data Encryption',
] as const;

export const oracleArchiving = onOracle(({ rows }) => {
  const [database] = rows.database;
  const [instance] = rows.instance;
  if (database?.logMode !== 'ARCHIVELOG') {
    const mend = 'SHUTDOWN IMMEDIATE; STARTUP MOUNT; ALTER DATABASE ARCHIVELOG; ALTER DATABASE OPEN';
    return [
      failed(
        'the database is in NOARCHIVELOG mode: a full log is overwritten, no backup can be rolled forward',
        mend,
      ),
    ];
  }
  const found = [ok('the database is in ARCHIVELOG mode')];
  if (instance?.archiver !== null && instance?.archiver !== undefined && instance.archiver !== 'STARTED') {
    found.push(
      failed(
        `the archiver is ${instance.archiver}`,
        'make room in the recovery area through RMAN, then see V$ARCHIVE_DEST.ERROR',
        6,
      ),
    );
  }
  const places = rows.destinations.filter(
    ({ status, target }) => status !== 'INACTIVE' && target !== 'STANDBY',
  );
  for (const { id, place, error } of places) {
    if (error === null) continue;
    found.push(
      failed(
        `archiving to destination ${id ?? ''} (${place ?? ''}) fails: ${error}`,
        'see that its disk is there and not full',
        6,
      ),
    );
  }
  const mandatory = places.filter(({ binding }) => binding === 'MANDATORY').length;
  const minimum = Number(
    rows.parameters.find(({ name }) => name === 'log_archive_min_succeed_dest')?.value ?? 1,
  );
  if (places.length < 2) {
    found.push(
      warning(
        'archived logs go to one place only: when its disk breaks, the log has a gap',
        "ALTER SYSTEM SET log_archive_dest_2 = 'LOCATION=… MANDATORY', on another disk",
      ),
    );
  } else if (minimum < 2 && mandatory < 2) {
    found.push(
      warning(
        `archived logs go to ${places.length} places, but one success is enough`,
        'LOG_ARCHIVE_MIN_SUCCEED_DEST = 2, or MANDATORY at both',
      ),
    );
  } else found.push(ok(`archived logs go to ${places.length} places`));
  if (database.forceLogging !== 'YES') {
    found.push(
      warning(
        'FORCE LOGGING is off: what is loaded with NOLOGGING is in no log',
        'ALTER DATABASE FORCE LOGGING, where loads bear it',
      ),
    );
  }
  return found;
});

/** R14. Two folders are the least; whether they are two disks `oracleDevices` asks of the machine. */
export const oracleRedo = onOracle(({ rows }) => {
  const groups = new Map<string, string[]>();
  for (const { group, type, member } of rows.logMembers) {
    if (type === 'STANDBY' || member === null) continue;
    groups.set(group ?? '', [...(groups.get(group ?? '') ?? []), member]);
  }
  const single = [...groups].filter(([, members]) => members.length < 2).map(([group]) => group);
  const together = [...groups].filter(
    ([, list]) => list.length > 1 && new Set(list.map(folderOf)).size < list.length,
  );
  const found: Finding[] = [];
  if (single.length > 0) {
    found.push(
      failed(
        `groups of the online log with one member: ${single.join(', ')}`,
        "ALTER DATABASE ADD LOGFILE MEMBER '…' TO GROUP n, on another disk",
      ),
    );
  }
  if (together.length > 0) {
    found.push(
      failed(
        `groups of the online log whose members lie in one folder: ${together.map(([group]) => group).join(', ')}`,
        'move a member to another disk',
      ),
    );
  }
  if (found.length > 0 || groups.size === 0) return found;
  return [ok(`each of ${groups.size} groups of the online log has members in different folders`)];
});

function folderOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')));
}
