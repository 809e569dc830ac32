import type { JobLogJudgement } from '../../../proof/job-log.ts';
import type { DatafileHeader, OracleFile, RedoHeader } from './file-header.ts';

/** What lies in an archive folder: files by their content, and the logs of exports that lie beside them. */
export interface ArchiveFile {
  path: string;
  bytes: number;
  content: OracleFile;
}

export interface ExportLog {
  path: string;
  judgement: JobLogJudgement;
  /** When the export began, by the banner of its log; null: it does not say so in a way we know. */
  startedAt: number | null;
  /** Paths of the dump set, as the log lists them. */
  dumps: string[];
  /** Its whole text, and when its file was written, in milliseconds. */
  text?: string | undefined;
  modifiedMs?: number | undefined;
}

export type FoundCopy = ArchiveFile & { content: DatafileHeader };
export type FoundLog = ArchiveFile & { content: RedoHeader };

export interface ArchiveSet {
  kind: 'rman' | 'hot' | 'cold' | 'pump' | 'original';
  name: string;
  files: string[];
  /** Highest checkpoint of its datafiles; null: an export. */
  position: string | null;
  /** Milliseconds, by the log of an export. */
  startedAt: number | null;
  /** R15, as far as files and logs alone can tell: 2 for a complete dump set with a good log, 0 otherwise. */
  grade: 0 | 2;
  usable: boolean;
  /** Why it is not usable, or what it needs. */
  reasons: string[];
  bytes?: number;
  /** Of hot and cold copies: what each file is, the archived logs of the same database, its control file. */
  copies?: { files: FoundCopy[]; logs: FoundLog[]; controlFile: string | null };
  /** Of an export: its log. */
  log?: ExportLog;
}

/**
 * The five kinds (cold and hot are told by the headers, not by what somebody called the folder). RMAN's pieces are listed
 * only: what they hold is in the control file. Pure.
 */
export function readArchiveSets(files: readonly ArchiveFile[], logs: readonly ExportLog[]): ArchiveSet[] {
  const copies = files.flatMap(({ content, ...file }) =>
    content.kind === 'datafile' ? [{ ...file, content }] : [],
  );
  const redo = files.flatMap(({ content, ...file }) =>
    content.kind === 'redo log' ? [{ ...file, content }] : [],
  );
  const sets: ArchiveSet[] = [];
  const pieces = files.filter(({ content }) => content.kind === 'backup piece');
  const tagged = copies.filter(({ content }) => content.tag !== null);
  if (pieces.length + tagged.length > 0) sets.push(rmanSet([...pieces, ...tagged]));
  for (const group of groupCopies(copies.filter(({ content }) => content.tag === null))) {
    sets.push(copySet(group, redo, files));
  }
  sets.push(...readExports(files, logs));
  return sets;
}

function rmanSet(files: readonly ArchiveFile[]): ArchiveSet {
  return {
    kind: 'rman',
    name: 'RMAN',
    files: files.map(({ path }) => path),
    position: null,
    startedAt: null,
    grade: 0,
    usable: true,
    reasons: ['what they hold is in the control file (clona catalog), or after CATALOG START WITH'],
  };
}

/** Copies of one run lie in one folder, or in folders side by side when none of them has a whole database. */
function groupCopies(copies: readonly FoundCopy[]): FoundCopy[][] {
  const groups = new Map<string, FoundCopy[]>();
  for (const copy of copies) {
    const key = `${copy.content.dbid} ${folderOf(copy.path)}`;
    groups.set(key, [...(groups.get(key) ?? []), copy]);
  }
  const wholes: FoundCopy[][] = [];
  const parts = new Map<string, FoundCopy[]>();
  for (const group of groups.values()) {
    const [first] = group;
    const key = `${first?.content.dbid ?? ''} ${folderOf(folderOf(first?.path ?? ''))}`;
    const side = parts.get(key) ?? [];
    const isTwice = group.some(({ content }) => side.some((one) => one.content.file === content.file));
    if (isTwice) wholes.push(group);
    else parts.set(key, [...side, ...group]);
  }
  return [...parts.values(), ...wholes];
}

/** Those in the folder of the copies; else those of the folders beside it; else wherever they lie. */
function nearest(logs: readonly FoundLog[], folder: string): FoundLog[] {
  const within = (place: string): FoundLog[] => logs.filter(({ path }) => isWithin(path, place));
  for (const place of [folder, folderOf(folder)]) {
    const found = within(place);
    if (found.length > 0) return found;
  }
  return [...logs];
}

function isWithin(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`) || path.startsWith(`${folder}\\`);
}

function copySet(copies: FoundCopy[], redo: readonly FoundLog[], files: readonly ArchiveFile[]): ArchiveSet {
  const headers = copies.map(({ content }) => content);
  const [dbid] = headers.map((header) => header.dbid);
  const name = folderOf(copies[0]?.path ?? '');
  const logs = nearest(
    redo.filter(({ content }) => content.dbid === dbid),
    name,
  );
  const controls = files.filter(({ content }) => content.kind === 'control file' && content.dbid === dbid);
  const controlFile = (controls.find(({ path }) => folderOf(path) === name) ?? controls[0])?.path ?? null;
  const hasLogs = logs.length > 0;
  const hasControlFile = controlFile !== null;
  const hot = headers.some(({ fuzzy, inBackupMode }) => fuzzy || inBackupMode);
  const checkpoints = headers.map(({ checkpoint }) => BigInt(checkpoint));
  const highest = checkpoints.reduce((a, b) => (a > b ? a : b), 0n);
  const reasons: string[] = [];
  const twice = headers.find(
    ({ file }, index) => headers.findIndex((other) => other.file === file) !== index,
  );
  if (twice !== undefined) reasons.push(`file ${twice.file} is there twice`);
  if (!headers.some(({ file }) => file === 1)) reasons.push('file 1 (SYSTEM) is not among them');
  const open = headers.filter(({ fuzzy, inBackupMode }) => fuzzy && !inBackupMode);
  if (open.length > 0) {
    const names = open.map(({ file }) => file).join(', ');
    reasons.push(`file ${names} was copied while it was open and not in backup mode: its blocks may be torn`);
  }
  const whole = reasons.length === 0;
  if (hot && !hasLogs)
    reasons.push('there are no archived logs beside it: without them it cannot be recovered');
  if (!hot && !hasControlFile)
    reasons.push('there is no control file beside it: one must be created by hand');
  return {
    kind: hot ? 'hot' : 'cold',
    name,
    bytes: copies.reduce((sum, { bytes }) => sum + bytes, 0),
    copies: { files: copies, logs, controlFile },
    files: copies.map(({ path }) => path),
    position: String(highest),
    startedAt: null,
    grade: 0,
    usable: whole && (!hot || hasLogs),
    reasons,
  };
}

/** Exports by their logs; dumps that no good log names prove nothing, however new they are. */
function readExports(files: readonly ArchiveFile[], logs: readonly ExportLog[]): ArchiveSet[] {
  const dumps = files.filter(
    ({ content }) => content.kind === 'pump dump' || content.kind === 'original dump',
  );
  const named = new Set<string>();
  const sets = logs.flatMap((log): ArchiveSet[] => {
    const { kind, verdict, findings } = log.judgement;
    if (kind !== 'expdp' && kind !== 'exp') return [];
    const found = findDumps(log, dumps);
    for (const path of found.paths) named.add(path);
    const reasons = found.missing.map((name) => `${name} is named in its log and missing`);
    if (verdict === 'failed' || verdict === 'incomplete') {
      reasons.push(`its log is ${verdict}: ${findings[0]?.meaning ?? 'no closing line'}`);
    }
    const usable = reasons.length === 0 && found.paths.length > 0;
    if (found.paths.length === 0 && found.missing.length === 0)
      reasons.push('no dump file is known to be its own');
    const about = {
      name: log.path,
      files: found.paths,
      position: null,
      startedAt: log.startedAt,
      grade: usable ? (2 as const) : (0 as const),
      bytes: dumps
        .filter(({ path }) => found.paths.includes(path))
        .reduce((sum, { bytes }) => sum + bytes, 0),
      log,
    };
    return [{ kind: kind === 'expdp' ? 'pump' : 'original', ...about, usable, reasons }];
  });
  for (const dump of dumps) {
    if (named.has(dump.path)) continue;
    sets.push({
      kind: dump.content.kind === 'pump dump' ? 'pump' : 'original',
      name: dump.path,
      files: [dump.path],
      position: null,
      startedAt: null,
      grade: 0,
      usable: false,
      reasons: ['no log of its export is beside it: nobody knows whether it is whole'],
    });
  }
  return sets;
}

/** By name; a log of exp names no file, so its dump is the one of the same name: erp.log and erp.dmp. */
function findDumps(log: ExportLog, dumps: readonly ArchiveFile[]): { paths: string[]; missing: string[] } {
  const byName = new Map(dumps.map(({ path }) => [bareName(path).toUpperCase(), path]));
  const paths: string[] = [];
  const missing: string[] = [];
  for (const dump of log.dumps) {
    const path = byName.get(bareName(dump).toUpperCase());
    if (path === undefined) missing.push(bareName(dump));
    else paths.push(path);
  }
  if (log.dumps.length === 0 && log.judgement.kind === 'exp') {
    const stem = bareName(log.path)
      .replace(/\.[^.]*$/, '')
      .toUpperCase();
    const path = [...byName].find(([name]) => name.replace(/\.[^.]*$/, '') === stem)?.[1];
    if (path !== undefined) paths.push(path);
  }
  return { paths, missing };
}

export interface ExportChoice {
  chosen: ArchiveSet | null;
  /** Every set that was passed over, with its reasons. */
  rejected: { name: string; reasons: string[] }[];
}

/**
 * The newest export by proof: of those whose log is good and whose dumps are all there, the one whose dump says of itself that it was
 * written last (`writtenAt`, by path, from its header). A file's date is only when it was copied.
 */
export function chooseNewestExport(
  sets: readonly ArchiveSet[],
  writtenAt: ReadonlyMap<string, number>,
  kinds: readonly ArchiveSet['kind'][] = ['pump'],
): ExportChoice {
  const exports = sets.filter(({ kind }) => kinds.includes(kind));
  const age = ({ files, startedAt }: ArchiveSet): number =>
    Math.max(...files.map((path) => writtenAt.get(path) ?? startedAt ?? 0));
  const usable = exports
    .filter((set) => set.usable)
    .sort((a, b) => age(b) - age(a) || (a.name < b.name ? 1 : -1));
  const [chosen = null, ...older] = usable;
  return {
    chosen,
    rejected: [
      ...exports.filter((set) => !set.usable).map(({ name, reasons }) => ({ name, reasons })),
      ...older.map(({ name }) => ({ name, reasons: ['an older one'] })),
    ],
  };
}

export function bareName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'))));
}
