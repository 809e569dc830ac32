import { ClonaError } from '../../errors.ts';
import { quotePowerShell } from '../../guest/powershell.ts';
import { quoteSh } from '../../guest/quote.ts';
import type { PlanAnswer } from '../../recovery/answer.ts';
import { runVersion, type OracleTools } from './guest-tools.ts';
import type { RestoreFacts } from './restore-facts.ts';
import { controlFilePath, type RestoreTarget } from './restore-target.ts';
import { openSqlPlusSession } from './sqlplus-session.ts';

/** What the clone's machine says before anything is written to it. null: it could not be asked. */
export interface CloneFacts {
  /** Free for the data and for the recovery folder; `shared`: both lie on one file system. */
  free: { dataBytes: number; recoveryBytes: number; shared: boolean } | null;
  memoryBytes: number | null;
  /** Of SQL*Plus in ORACLE_HOME: 19.21.0.0.0. */
  version: string | null;
  /** The instance that runs there under the clone's ORACLE_SID. */
  running: { controlFiles: string; uniqueName: string; dbid: string | null } | null;
}

export interface RestoreNeeds {
  dataBytes: number;
  recoveryBytes: number;
  /** Rough: the first real figure is RMAN's own (progress). */
  seconds: number;
}

/** Files are written at the speed of one ordinary disk; redo is applied by one process. */
const restoreBytesPerSecond = 150e6;
const redoBytesPerSecond = 30e6;
const controlFileBytes = 64 * 2 ** 20;

/** Pure. Logs that come out of backup sets lie in the recovery area one after another (DELETE ARCHIVELOG): room for four. */
export function estimateNeeds({ datafiles, onlineLogs }: RestoreFacts, { logs }: PlanAnswer): RestoreNeeds {
  const sum = (sizes: readonly number[]): number => sizes.reduce((total, bytes) => total + bytes, 0);
  const files = sum(datafiles.map(({ bytes }) => bytes));
  const logBytes = Math.max(0, ...onlineLogs.map(({ bytes }) => bytes));
  return {
    dataBytes: files + sum(onlineLogs.map(({ bytes }) => bytes)) + controlFileBytes,
    recoveryBytes: logBytes * Math.min(4, logs.length),
    seconds: Math.ceil(files / restoreBytesPerSecond + (logs.length * logBytes) / redoBytesPerSecond),
  };
}

export async function examineClone(tools: OracleTools, target: RestoreTarget): Promise<CloneFacts> {
  const { guest, signal } = tools;
  const script = guest.platform === 'windows' ? windowsScript(target) : linuxScript(target);
  const { stdout } = await guest.runShell(script, { signal });
  const of = (kind: string): string[] | undefined =>
    stdout
      .split(/\r?\n/)
      .find((line) => line.startsWith(`${kind}|`))
      ?.split('|')
      .slice(1);
  const [data, recovery, memory] = [of('data'), of('recovery'), of('memory')];
  const bytes = (text: string | undefined): number => (/^\d+$/.test(text ?? '') ? Number(text) : Number.NaN);
  const dataBytes = bytes(data?.[1]);
  const recoveryBytes = bytes(recovery?.[1]);
  const isKnown = Number.isFinite(dataBytes) && Number.isFinite(recoveryBytes);
  const memoryBytes = bytes(memory?.[0]);
  return {
    free: isKnown ? { dataBytes, recoveryBytes, shared: data?.[0] === recovery?.[0] } : null,
    memoryBytes: Number.isFinite(memoryBytes) ? memoryBytes : null,
    version: await runVersion(tools),
    running: await findRunning(tools),
  };
}

/** Of folders that are not there yet the nearest one above. */
function linuxScript({ dataDir, recoveryDir }: RestoreTarget): string {
  const line = (kind: string, folder: string): string =>
    `d=${quoteSh(folder)}; while [ ! -d "$d" ]; do d=$(dirname "$d"); done; df -Pk "$d" | awk 'NR > 1 { printf "${kind}|%s|%.0f\\n", $1, $4 * 1024 }'`;
  return [
    line('data', dataDir),
    line('recovery', recoveryDir),
    `awk '/^MemTotal:/ { printf "memory|%.0f\\n", $2 * 1024 }' /proc/meminfo`,
  ].join('\n');
}

function windowsScript({ dataDir, recoveryDir }: RestoreTarget): string {
  const line = (kind: string, folder: string): string =>
    `$d = [System.IO.DriveInfo]::new([System.IO.Path]::GetPathRoot(${quotePowerShell(folder)})); Write-Output ('${kind}|' + $d.Name + '|' + $d.AvailableFreeSpace)`;
  return [
    line('data', dataDir),
    line('recovery', recoveryDir),
    "Write-Output ('memory|' + ([int64](Get-CimInstance Win32_OperatingSystem).TotalVisibleMemorySize * 1024))",
  ].join('\n');
}

async function findRunning(tools: OracleTools): Promise<CloneFacts['running']> {
  const session = openSqlPlusSession(tools, 'look');
  const ask = async (sql: string): Promise<(string | null)[][]> =>
    session.query(sql).catch((error: unknown) => {
      tools.signal.throwIfAborted();
      // Not started, or not mounted: then there is nothing to say. A machine without Oracle's programs is another thing.
      if (error instanceof ClonaError && error.kind === 'guestFailed') throw error;
      if (error instanceof ClonaError && error.kind === 'serverUnfit') throw error;
      return [];
    });
  const parameters = new Map(
    (
      await ask(
        "SELECT NAME, VALUE FROM V$PARAMETER WHERE NAME IN ('control_files', 'db_unique_name', 'db_name')",
      )
    ).map(([name, value]) => [name, value ?? '']),
  );
  if (parameters.size === 0) return null;
  const [database] = await ask('SELECT TO_CHAR(DBID), NAME FROM V$DATABASE');
  const uniqueName = parameters.get('db_unique_name') ?? '';
  return {
    controlFiles: parameters.get('control_files') ?? '',
    uniqueName: uniqueName === '' ? (parameters.get('db_name') ?? '') : uniqueName,
    dbid: database?.[0] ?? null,
  };
}

/**
 * Pure. Throws for a machine on which this restore must not or cannot begin; answers what is to be said about it. `isBegun`: the
 * files of this very restore lie there already, so their room is no longer free.
 */
export function requireFitClone(
  clone: CloneFacts,
  facts: RestoreFacts,
  target: RestoreTarget,
  needs: RestoreNeeds,
  isBegun: boolean,
): string[] {
  refuseRunning(clone, facts, target);
  refusePlatform(facts, target);
  refuseVersion(clone, facts);
  refuseSmallArea(target, needs);
  if (!isBegun) refuseSpace(clone, target, needs);
  return [
    ...(clone.free === null ? ['the room on the disks of the clone could not be asked for'] : []),
    ...(clone.version === null ? ['the version of the software on the clone could not be asked for'] : []),
    ...(clone.running === null || isOurs(clone, target)
      ? []
      : [
          `an older ${target.databaseName} runs on that machine (${clone.running.controlFiles}): its instance is ended, its files stay`,
        ]),
  ];
}

function isOurs({ running }: CloneFacts, target: RestoreTarget): boolean {
  return running?.controlFiles === controlFilePath(target);
}

/** STARTUP FORCE ends whatever runs under that name: it must be nothing, or a clone of this name. */
function refuseRunning(clone: CloneFacts, facts: RestoreFacts, target: RestoreTarget): void {
  const { running } = clone;
  if (running === null || isOurs(clone, target)) return;
  const isProduction = running.dbid === facts.dbid;
  const isOther = running.uniqueName.toUpperCase() !== target.databaseName.toUpperCase();
  if (!isProduction && !isOther) return;
  throw new ClonaError(
    'targetOccupied',
    isProduction
      ? `the instance ${target.instanceName} on that machine runs production itself (DBID ${facts.dbid}, ${running.controlFiles})`
      : `the instance ${target.instanceName} on that machine runs another database, ${running.uniqueName} (${running.controlFiles})`,
    {
      hint: 'a restore would end that instance: give the clone another --name, or another machine',
    },
  );
}

function refusePlatform({ platform }: RestoreFacts, target: RestoreTarget): void {
  const isWindows = /windows/i.test(platform);
  if (platform === '' || isWindows === (target.platform === 'windows')) return;
  throw new ClonaError(
    'serverUnfit',
    `production runs on ${platform}, the clone on ${target.platform}: redo is not applied across platforms`,
    { hint: 'restore to a machine of the same platform; across platforms only an export goes' },
  );
}

/** 12.1.0.2 and older numbers tell a patch set in four places; since 18c the first one is the release. */
function refuseVersion({ version }: CloneFacts, facts: RestoreFacts): void {
  if (version === null || facts.version === '') return;
  const places = Number.parseInt(facts.version, 10) >= 18 ? 1 : 4;
  const release = (text: string): number[] =>
    Array.from({ length: places }, (_, index) => Number(text.split('.')[index] ?? 0));
  const [there, here] = [release(version), release(facts.version)];
  const at = there.findIndex((part, index) => part !== here[index]);
  if (at < 0) return;
  const isLower = (there[at] ?? 0) < (here[at] ?? 0);
  throw new ClonaError(
    'databaseVersion',
    `the clone has Oracle ${version}, production ${facts.version}: ${isLower ? 'older software cannot open it' : 'newer software opens it only to upgrade it'}`,
    {
      hint: isLower
        ? 'install the release of production on the clone (database.oracle.home, --oracle-home)'
        : 'a clone has the release of production: upgrade it there afterwards, as a kit',
    },
  );
}

/** Past it recovery would end in ORA-19809, after hours. */
function refuseSmallArea({ recoveryBytes }: RestoreTarget, needs: RestoreNeeds): void {
  if (recoveryBytes >= needs.recoveryBytes) return;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new ClonaError(
    'diskFull',
    `the clone's recovery area may hold ${mebibytes(recoveryBytes)}, the logs of the plan need ${mebibytes(needs.recoveryBytes)} at once`,
    { hint: '--recovery-size, or database.oracle.staging.recoverySize' },
  );
}

function refuseSpace({ free }: CloneFacts, target: RestoreTarget, needs: RestoreNeeds): void {
  if (free === null) return;
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const together = needs.dataBytes + needs.recoveryBytes;
  const short = free.shared
    ? together > free.dataBytes && [target.dataDir, together, free.dataBytes]
    : needs.dataBytes > free.dataBytes
      ? [target.dataDir, needs.dataBytes, free.dataBytes]
      : needs.recoveryBytes > free.recoveryBytes && [
          target.recoveryDir,
          needs.recoveryBytes,
          free.recoveryBytes,
        ];
  if (short === false) return;
  const [folder, wanted, there] = short as [string, number, number];
  throw new ClonaError(
    'diskFull',
    `the disk of ${folder} has ${gibibytes(there)} free, the restore needs ${gibibytes(wanted)}`,
    {
      hint: 'give the clone a larger disk (staging.size), or another folder; nothing was written',
      details: { neededBytes: wanted, freeBytes: there },
    },
  );
}
