import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { joinGuest } from './rman-text.ts';

/** Oracle's own programs in a guest: who runs them there is SYSDBA by the operating system. */
export interface OracleTools {
  guest: Guest;
  /** ORACLE_HOME. */
  home: string;
  /** ORACLE_SID. */
  instanceName: string;
  /** For programs and their output; kept as evidence. */
  workDir: string;
  signal: AbortSignal;
}

export interface ToolOutput {
  text: string;
  exitCode: number | null;
}

export async function runRman(tools: OracleTools, name: string, program: string): Promise<ToolOutput> {
  const file = await putProgram(tools, `${name}.rman`, program);
  return run(tools, ['rman', 'target', '/', 'nocatalog', `cmdfile=${file}`]);
}

export async function runSqlPlus(tools: OracleTools, name: string, script: string): Promise<ToolOutput> {
  const file = await putProgram(tools, `${name}.sql`, script);
  return run(tools, ['sqlplus', '-S', '/nolog', `@${file}`]);
}

/** With secrets in it: the script goes through standard input, is in no file, and they are struck out of what is printed. */
export async function runSecretSqlPlus(
  tools: OracleTools,
  script: string,
  secrets: readonly string[],
): Promise<ToolOutput> {
  const { text, exitCode } = await run(tools, ['sqlplus', '-S', '/nolog'], script);
  return { text: secrets.reduce((said, secret) => said.replaceAll(secret, '***'), text), exitCode };
}

/** Of the software in ORACLE_HOME, as `sqlplus -V` says it: 19.21.0.0.0, 12.1.0.2.0. null: it does not say. */
export async function runVersion(tools: OracleTools): Promise<string | null> {
  const { text } = await run(tools, ['sqlplus', '-V']);
  return /Version\s+(\d+(?:\.\d+)+)/.exec(text)?.[1] ?? /Release\s+(\d+(?:\.\d+)+)/.exec(text)?.[1] ?? null;
}

/** Data Pump, as SYS by the operating system. */
export async function runExpdp(tools: OracleTools, argv: readonly string[]): Promise<ToolOutput> {
  return run(tools, ['expdp', '/ as sysdba', ...argv]);
}

/** nid asks on the terminal unless it has a LOGFILE, and then says everything there. */
export async function runNid(
  tools: OracleTools,
  argv: readonly string[],
  logFile: string,
): Promise<ToolOutput> {
  const { exitCode, text } = await run(tools, argv);
  const log = await tools.guest.readFile(logFile, tools.signal).then(
    (content) => content.toString('utf8'),
    () => '',
  );
  return { exitCode, text: `${text}\n${log}` };
}

async function putProgram(
  { guest, workDir, signal }: OracleTools,
  name: string,
  text: string,
): Promise<string> {
  const path = joinGuest(guest.platform, workDir, name);
  await guest.writeFile(path, text, 0o640, signal);
  return path;
}

async function run(
  { guest, home, instanceName, signal, workDir }: OracleTools,
  argv: readonly string[],
  stdin?: string,
): Promise<ToolOutput> {
  const [program = '', ...rest] = argv;
  const isWindows = guest.platform === 'windows';
  const path = joinGuest(
    guest.platform,
    joinGuest(guest.platform, home, 'bin'),
    isWindows ? `${program}.exe` : program,
  );
  const env = {
    ORACLE_HOME: home,
    ORACLE_SID: instanceName,
    // Codes and numbers are read, never words; but UTF-8 lets them be kept as they are.
    NLS_LANG: 'AMERICAN_AMERICA.AL32UTF8',
    NLS_DATE_FORMAT: 'YYYY-MM-DD HH24:MI:SS',
  };
  const { stdout, stderr, exitCode } = await guest.run([path, ...rest], {
    signal,
    cwd: workDir,
    env,
    ...(stdin === undefined ? {} : { stdin }),
  });
  if (exitCode === 127) {
    throw new ClonaError('guestFailed', `there is no ${program} in ${home}`, {
      hint: 'is it the ORACLE_HOME of the guest, and may the user of clona run its programs (group dba)?',
    });
  }
  return { text: `${stdout}${stderr}`, exitCode };
}

/**
 * On Windows an instance lives in a service, and STARTUP without it is ORA-12560: it is made where it is not there (oradim;
 * Database Administrator's Reference for Windows). It does not start by itself: what boots must not open a database nobody fenced.
 */
export async function requireService(tools: OracleTools): Promise<void> {
  const { guest, instanceName, signal } = tools;
  if (guest.platform !== 'windows') return;
  const notThere = 1060;
  const { exitCode } = await guest.run(['sc.exe', 'query', `OracleService${instanceName}`], { signal });
  if (exitCode !== notThere) return;
  const made = await run(tools, ['oradim', '-NEW', '-SID', instanceName, '-STARTMODE', 'manual']);
  if (made.exitCode === 0) return;
  throw new ClonaError(
    'targetFailed',
    `the service of the instance ${instanceName} cannot be made: ${made.text.trim().slice(0, 200)}`,
    {
      hint: 'oradim needs an administrator of that machine: make the service once by hand, or let the SSH user be one',
    },
  );
}

/** Folders that are to be there and empty: what lies in one may be the only copy of something. */
export async function requireEmptyFolders(
  { guest, signal }: OracleTools,
  folders: readonly string[],
): Promise<void> {
  for (const folder of folders) {
    await makeFolder(guest, folder, signal);
    const found = await guest.list(folder, signal);
    if (found.length === 0) continue;
    throw new ClonaError('targetOccupied', `${folder} holds ${found.length} files`, {
      hint: 'a restore goes to empty folders of the clone only: nothing is ever overwritten',
    });
  }
}

export async function makeFolder(guest: Guest, folder: string, signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } =
    guest.platform === 'windows'
      ? await guest.run(['cmd.exe', '/d', '/c', 'if', 'not', 'exist', folder, 'mkdir', folder], { signal })
      : await guest.run(['mkdir', '-p', '--', folder], { signal });
  if (exitCode !== 0)
    throw new ClonaError('guestFailed', `cannot make ${folder}: ${stderr.trim().slice(0, 200)}`);
}
