import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/** Parameters that both tools know; `then` their own. What is in no list is LRM-00101, as with the real ones. */
const both = [
  'CONTENT',
  'DIRECTORY',
  'DUMPFILE',
  'ENCRYPTION_PASSWORD',
  'EXCLUDE',
  'INCLUDE',
  'JOB_NAME',
  'LOGFILE',
  'LOGTIME',
  'METRICS',
  'NOLOGFILE',
  'PARALLEL',
  'PARFILE',
  'QUERY',
  'SCHEMAS',
  'STATUS',
  'CLUSTER',
  'VERSION',
  'FLASHBACK_SCN',
  'FLASHBACK_TIME',
  'FULL',
  'TABLES',
  'TABLESPACES',
  'NETWORK_LINK',
  'ACCESS_METHOD',
  'KEEP_MASTER',
  'USERID',
];
const own = {
  EXPORT: [
    ...both,
    'COMPRESSION',
    'COMPRESSION_ALGORITHM',
    'ENCRYPTION',
    'ENCRYPTION_ALGORITHM',
    'ENCRYPTION_MODE',
    'ESTIMATE',
    'ESTIMATE_ONLY',
    'FILESIZE',
    'REUSE_DUMPFILES',
    'CONSISTENT',
    'SAMPLE',
    'TRANSPORTABLE',
  ],
  IMPORT: [
    ...both,
    'REMAP_SCHEMA',
    'REMAP_TABLESPACE',
    'REMAP_TABLE',
    'REMAP_DATAFILE',
    'REMAP_DATA',
    'TABLE_EXISTS_ACTION',
    'TRANSFORM',
    'SQLFILE',
    'DATA_OPTIONS',
    'SKIP_UNUSABLE_INDEXES',
    'STREAMS_CONFIGURATION',
  ],
} as const;

/** What is known and not simulated: refused rather than passed over. */
const notSimulated = new Set([
  'FULL',
  'TABLES',
  'TABLESPACES',
  'NETWORK_LINK',
  'SQLFILE',
  'QUERY',
  'INCLUDE',
  'SAMPLE',
  'TRANSPORTABLE',
  'REMAP_TABLE',
  'REMAP_DATA',
  'REMAP_DATAFILE',
]);
const mayRepeat = new Set([
  'REMAP_SCHEMA',
  'REMAP_TABLESPACE',
  'EXCLUDE',
  'TRANSFORM',
  'SCHEMAS',
  'DUMPFILE',
]);

export interface PumpArguments {
  logon: string;
  /** Values by name in capitals, lists in their order. */
  values: Map<string, string[]>;
}

/** Throws the text of what the tool says of its command line. */
export class BadArguments extends Error {}

export function readPumpArguments(
  operation: 'EXPORT' | 'IMPORT',
  argv: readonly string[],
  cwd: string,
): PumpArguments {
  const values = new Map<string, string[]>();
  const logon: string[] = [];
  for (const one of argv) {
    if (/^\w+=/.test(one)) add(values, operation, one);
    else logon.push(one);
  }
  const parameterFile = values.get('PARFILE')?.[0];
  if (parameterFile !== undefined) {
    const path = isAbsolute(parameterFile) ? parameterFile : join(cwd, parameterFile);
    for (const line of readLines(path)) add(values, operation, line);
  }
  const userId = values.get('USERID')?.[0];
  return { logon: (userId ?? logon.join(' ')).replaceAll(/^["']|["']$/g, '').trim(), values };
}

function readLines(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new BadArguments(
      `LRM-00109: could not open parameter file '${path}'\nUDE-00014: invalid value for parameter, 'parfile'.`,
    );
  }
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

function add(values: Map<string, string[]>, operation: 'EXPORT' | 'IMPORT', line: string): void {
  const at = line.indexOf('=');
  const name = line.slice(0, at).trim().toUpperCase();
  if (at < 1) throw new BadArguments(`LRM-00116: syntax error at '${line}'`);
  const known: readonly string[] = own[operation];
  if (!known.includes(name))
    throw new BadArguments(`LRM-00101: unknown parameter name '${name.toLowerCase()}'`);
  if (notSimulated.has(name))
    throw new BadArguments(
      `UDE-00014: invalid value for parameter, '${name.toLowerCase()}' (not simulated).`,
    );
  if (values.has(name) && !mayRepeat.has(name))
    throw new BadArguments(
      `UDE-00011: parameter ${name.toLowerCase()} is incompatible with itself: it was given twice`,
    );
  const list = splitList(line.slice(at + 1).trim());
  values.set(name, [...(values.get(name) ?? []), ...list]);
}

/** Commas outside of quotes part a list; names without quotes are in capitals where they are names. */
function splitList(text: string): string[] {
  return (text.match(/(?:"[^"]*"|'[^']*'|[^,"'])+/g) ?? []).map((one) => one.trim());
}

/** A name of the dictionary: in quotes as it stands, else in capitals. */
export function nameOf(text: string): string {
  const quoted = /^"(.*)"$/.exec(text);
  return quoted === null ? text.toUpperCase() : quoted[1]!;
}

/** `from:to`, each in quotes or not. */
export function pairOf(text: string): [string, string] {
  const found = /^("[^"]*"|[^:"]+):("[^"]*"|[^:"]+)$/.exec(text);
  if (found === null) throw new BadArguments(`UDI-00014: invalid value for parameter, 'remap' (${text}).`);
  return [nameOf(found[1]!), nameOf(found[2]!)];
}
