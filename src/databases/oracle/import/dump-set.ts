/**
 * What DBMS_DATAPUMP.GET_DUMPFILE_INFO says of one file (PL/SQL Packages and Types Reference; item codes KU$_DFHDR_…), and
 * whether files together are a whole dump set. Pure.
 */

export interface DumpFile {
  name: string;
  /** Data Pump, the original exp, an external table's ORACLE_DATAPUMP file; unreadable: none of them, or cut off. */
  type: 'pump' | 'original' | 'external' | 'unreadable';
  /** What the server said of an unreadable file. */
  why?: string | undefined;
  /** The same in every file of a set. */
  guid: string | null;
  number: number | null;
  hasMaster: boolean;
  masterPieces: number | null;
  masterPiece: number | null;
  characterSet: string | null;
  jobName: string | null;
  /** As the file has it: 19.00.00.00.00. */
  databaseVersion: string | null;
  /** Wall clock of the server that wrote it. */
  createdAt: string | null;
  /** none; password: a key that people know; wallet: the keystore of production; either: both open it. */
  encryption: 'none' | 'password' | 'wallet' | 'either' | 'unknown';
}

/** Numbers of the item codes; 16 and 17 since 11.1. */
const items = {
  masterPresent: 2,
  guid: 3,
  fileNumber: 4,
  characterSetId: 5,
  creationDate: 6,
  jobName: 8,
  language: 11,
  databaseVersion: 15,
  masterPieceCount: 16,
  masterPieceNumber: 17,
  metadataEncrypted: 19,
  dataEncrypted: 20,
  encryptionMode: 22,
} as const;

const types = { 0: 'unreadable', 1: 'pump', 2: 'original', 3: 'external' } as const;
const modes: Readonly<Record<string, DumpFile['encryption']>> = {
  '1': 'unknown',
  '2': 'none',
  '3': 'password',
  '4': 'either',
  '5': 'wallet',
};

/** From the lines `code=value` that our block returns, and the file type beside them. */
export function readDumpFile(name: string, type: number, text: string): DumpFile {
  const values = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [, code, value] = /^(\d+)=(.*)$/.exec(line) ?? [];
    if (code !== undefined && value !== undefined) values.set(Number(code), value.trim());
  }
  const get = (item: keyof typeof items): string | null => values.get(items[item]) ?? null;
  const number = (item: keyof typeof items): number | null => {
    const value = get(item);
    return value === null || !/^\d+$/.test(value) ? null : Number(value);
  };
  const encrypted = get('metadataEncrypted') === '1' || get('dataEncrypted') === '1';
  const mode = modes[get('encryptionMode') ?? ''];
  return {
    name,
    type: types[type as keyof typeof types] ?? 'unreadable',
    guid: get('guid'),
    number: number('fileNumber'),
    hasMaster: get('masterPresent') === '1',
    masterPieces: number('masterPieceCount'),
    masterPiece: number('masterPieceNumber'),
    characterSet: get('language') ?? get('characterSetId'),
    jobName: get('jobName'),
    databaseVersion: get('databaseVersion'),
    createdAt: get('creationDate'),
    encryption: mode === undefined || mode === 'unknown' ? (encrypted ? 'unknown' : 'none') : mode,
  };
}

export interface DumpSet {
  /** null: original exp, which has none. */
  guid: string | null;
  type: 'pump' | 'original';
  files: DumpFile[];
  /** Nothing is known to be missing. */
  complete: boolean;
  problems: string[];
}

/**
 * Sorts files into sets and says of each what is missing. `named`: file names that the export's own log lists, which is the only
 * place where the number of files is written; without it a file after the last one cannot be missed here, but only by the import.
 */
export function groupDumpSets(files: readonly DumpFile[], named: readonly string[] = []): DumpSet[] {
  const sets: DumpSet[] = [];
  const byGuid = new Map<string, DumpFile[]>();
  for (const file of files) {
    if (file.type === 'original') {
      sets.push({ guid: null, type: 'original', files: [file], complete: true, problems: [] });
    } else if (file.type === 'pump' && file.guid !== null) {
      byGuid.set(file.guid, [...(byGuid.get(file.guid) ?? []), file]);
    }
  }
  for (const [guid, members] of byGuid) {
    const sorted = members.sort((a, b) => (a.number ?? 0) - (b.number ?? 0));
    const problems = [...findHoles(sorted), ...findUnnamed(sorted, named)];
    sets.push({ guid, type: 'pump', files: sorted, complete: problems.length === 0, problems });
  }
  return sets;
}

function findHoles(files: readonly DumpFile[]): string[] {
  const problems: string[] = [];
  const numbers = files.map(({ number }) => number ?? 0);
  const twice = numbers.find((number, index) => numbers.indexOf(number) !== index);
  if (twice !== undefined) problems.push(`part ${twice} is there twice`);
  const missing = Array.from({ length: Math.max(...numbers) }, (_, index) => index + 1).filter(
    (number) => !numbers.includes(number),
  );
  if (missing.length > 0) problems.push(`part ${missing.join(', ')} is missing`);
  const masters = files.filter(({ hasMaster }) => hasMaster);
  if (masters.length === 0) {
    problems.push('no part holds the master table: the export did not end, or that part is missing');
    return problems;
  }
  const pieces = Math.max(...masters.map(({ masterPieces }) => masterPieces ?? 1));
  const have = new Set(masters.map(({ masterPiece }) => masterPiece ?? 1));
  if (have.size < pieces)
    problems.push(`${pieces - have.size} of ${pieces} pieces of the master table are missing`);
  return problems;
}

/** Case does not matter: the log of a Windows server writes names as it likes. */
function findUnnamed(files: readonly DumpFile[], named: readonly string[]): string[] {
  const bare = (path: string): string =>
    path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
  const have = new Set(files.map(({ name }) => bare(name).toUpperCase()));
  const listed = named.map(bare);
  // A log of another set says nothing about this one.
  if (!listed.some((name) => have.has(name.toUpperCase()))) return [];
  const missing = listed.filter((name) => !have.has(name.toUpperCase()));
  return missing.length === 0
    ? []
    : [`${missing.join(', ')} is named in the log of the export and is missing`];
}

/** Paths that follow `Dump file set for S.J is:`, in any language: lines that are nothing but an indented path. */
export function readDumpNames(exportLog: string): string[] {
  const names: string[] = [];
  let listing = false;
  for (const raw of exportLog.split(/\r?\n/)) {
    const line = raw.replace(/^\d{1,4}[-.\p{L}\d]+ \d{2}:\d{2}:\d{2}[.\d]*: ?/u, '').replace(/^W-\d+ /, '');
    if (/[\w"$#]+\.[\w"$#]+.*[:：]\s*$/u.test(line) && !line.startsWith('ORA-')) listing = true;
    else if (listing && /^\s{1,4}(?:[A-Za-z]:\\|\\\\|\/|\+|https?:)\S.*$/.test(line)) names.push(line.trim());
    else if (line.trim() !== '') listing = false;
  }
  return names;
}
