import { ClonaError } from '../../../errors.ts';
import type { SchemaPair } from './clone-schema.ts';
import { allowedDegree, excludedPaths, type ImportJob } from './job-text.ts';

/** How the tool on the machine logs on; a password is never an argument. */
export type ToolLogon =
  /** `/@alias`: the secure external password store of the machine. */
  | { kind: 'wallet'; alias: string }
  /** `/ as sysdba`: the operating system's own account, member of the dba group. */
  | { kind: 'sysdba' }
  /** user, the password typed at the prompt, which is stdin. */
  | { kind: 'prompt'; user: string; password: string; connect?: string | undefined };

export interface ToolRun {
  /** For the guest: program and arguments, without any secret. */
  argv: string[];
  parameters: string;
  stdin: string;
}

/** impdp with a parameter file; its path is the one it is uploaded to. Source: Utilities, chapter Data Pump Import. */
export function impdpRun(job: ImportJob, logon: ToolLogon, parameterPath: string): ToolRun {
  const lines = [
    `DIRECTORY=${word(job.directory)}`,
    `DUMPFILE=${job.dumpFiles.map(fileName).join(',')}`,
    `LOGFILE=${fileName(job.logFile)}`,
    `JOB_NAME=${word(job.name)}`,
    `SCHEMAS=${job.pairs.map(({ live }) => name(live)).join(',')}`,
    ...job.pairs.map(({ live, clone }) => `REMAP_SCHEMA=${name(live)}:${name(clone)}`),
    ...Object.entries(job.tablespaces).map(([from, to]) => `REMAP_TABLESPACE=${name(from)}:${name(to)}`),
    'TRANSFORM=OID:N',
    'TABLE_EXISTS_ACTION=SKIP',
    `EXCLUDE=${excludedPaths.join(',')}`,
    'LOGTIME=ALL',
    'METRICS=Y',
  ];
  const degree = allowedDegree(job.parallel);
  if (degree > 1) lines.push(`PARALLEL=${degree}`);
  return run('impdp', logon, lines, parameterPath);
}

export interface OriginalImport {
  pairs: readonly SchemaPair[];
  /** Full paths on the machine, in order. */
  files: readonly string[];
  logPath: string;
}

/** The original imp: for dumps of the original exp alone (a dump of one cannot be read by the other). */
export function impRun(
  { pairs, files, logPath }: OriginalImport,
  logon: ToolLogon,
  parameterPath: string,
): ToolRun {
  const lines = [
    `FILE=(${files.map(path).join(',')})`,
    `LOG=${path(logPath)}`,
    // By position: the first of the one becomes the first of the other.
    `FROMUSER=(${pairs.map(({ live }) => name(live)).join(',')})`,
    `TOUSER=(${pairs.map(({ clone }) => name(clone)).join(',')})`,
    'GRANTS=N',
    'STATISTICS=NONE',
    'COMMIT=N',
    'IGNORE=N',
    'BUFFER=10485760',
  ];
  return run('imp', logon, lines, parameterPath);
}

function run(
  tool: 'impdp' | 'imp',
  logon: ToolLogon,
  lines: readonly string[],
  parameterPath: string,
): ToolRun {
  const parameters = `${lines.join('\n')}\n`;
  const argv = [tool, logonWord(logon), `PARFILE=${parameterPath}`];
  return { argv, parameters, stdin: logon.kind === 'prompt' ? `${logon.password}\n` : '' };
}

function logonWord(logon: ToolLogon): string {
  switch (logon.kind) {
    case 'wallet':
      return `/@${word(logon.alias)}`;
    case 'sysdba':
      return '"/ as sysdba"';
    case 'prompt':
      if (/[\r\n\0]/.test(logon.password)) {
        throw new ClonaError('usage', 'the password holds a line break, which no prompt takes');
      }
      return logon.connect === undefined ? word(logon.user) : `${word(logon.user)}@${word(logon.connect)}`;
    default:
      return logon satisfies never;
  }
}

/** A name that is not all capitals keeps its quotes in a parameter file, where no shell takes them away. */
function name(text: string): string {
  refuse(text, /["'\p{Cc}]/u);
  return /^[A-Z][A-Z0-9_$#]*$/.test(text) ? text : `"${text}"`;
}

function word(text: string): string {
  refuse(text, /["'\s(),=\p{Cc}]/u);
  return text;
}

/** Data Pump takes only names inside of its directory object. %U and %L would be patterns. */
function fileName(text: string): string {
  refuse(text, /["'\s(),=%/\\:\p{Cc}]/u);
  return text;
}

function path(text: string): string {
  refuse(text, /["'\p{Cc}]/u);
  return /[\s(),=]/.test(text) ? `"${text}"` : text;
}

function refuse(text: string, signs: RegExp): void {
  if (text !== '' && !signs.test(text)) return;
  throw new ClonaError('usage', `${JSON.stringify(text)} cannot be written in a parameter file`);
}
