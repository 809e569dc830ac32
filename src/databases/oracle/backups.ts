import type { Backup } from '../../recovery/catalog.ts';
import { lower, upper, type Position } from '../../recovery/position.ts';
import { worst, type FileBackup } from './file-backups.ts';
import { pathUp, type IncarnationTree } from './incarnations.ts';

/** The datafiles that a whole database has: key as `fileKey`, and since when. */
export type KnownFiles = readonly { file: string; creation: Position; name: string }[];

/** One BACKUP command's files. */
interface Group {
  label: string;
  incarnation: number;
  files: Map<string, FileBackup>;
  startedAt: string | null;
  finishedAt: string | null;
  finishedWall: string | null;
}

/** What one file of a whole restore is made of: the last level first, then what it stands on. */
type Chain = readonly FileBackup[];

export interface BackupEntry {
  backup: Backup;
  /** Sets and copies it is read from, what it stands on included. */
  parts: FileBackup[];
}

/**
 * Backups of single files put together to backups of the whole database, one entry for each BACKUP command: what that
 * command did not back up (another tablespace's night, read-only files) comes from the newest backup before it, and an
 * incremental stands on its levels below. A command after which no whole database can be restored gives no entry.
 */
export function putTogether(
  fileBackups: readonly FileBackup[],
  known: KnownFiles,
  tree: IncarnationTree,
): { entries: BackupEntry[]; warnings: string[] } {
  const groups = groupFiles(fileBackups);
  const groupOf = new Map<FileBackup, Group>();
  for (const group of groups) for (const one of group.files.values()) groupOf.set(one, group);
  const byFile = sortByFile(fileBackups.filter((one) => groupOf.has(one)));
  const warnings: string[] = [];
  const wholes = groups.map((group) => {
    const chains = assemble(group, byFile, known, tree);
    if (typeof chains !== 'string') return { group, chains };
    warnings.push(chains);
    return null;
  });
  const whole = new Set(wholes.flatMap((one) => (one === null ? [] : [one.group])));
  const entries = wholes.flatMap((one) =>
    one === null ? [] : [describe(one.group, one.chains, groupOf, whole)],
  );
  return { entries, warnings };
}

/** By command and tag; a tag that is used night after night begins anew where a file comes the second time. */
function groupFiles(fileBackups: readonly FileBackup[]): Group[] {
  const open = new Map<string, Group>();
  const groups: Group[] = [];
  const sorted = [...fileBackups].sort(byFinish);
  for (const one of sorted) {
    const key = `${one.group}\n${one.incarnation}`;
    let group = open.get(key);
    if (group === undefined || group.files.has(one.file)) {
      group = {
        label: '',
        incarnation: one.incarnation,
        files: new Map(),
        startedAt: one.startedAt,
        finishedAt: null,
        finishedWall: null,
      };
      open.set(key, group);
      groups.push(group);
    }
    group.files.set(one.file, one);
    group.finishedAt = one.finishedAt ?? group.finishedAt;
    group.finishedWall = one.finishedWall ?? group.finishedWall;
    if (one.startedAt !== null && (group.startedAt === null || one.startedAt < group.startedAt)) {
      group.startedAt = one.startedAt;
    }
  }
  nameGroups(groups);
  return groups;
}

function byFinish(a: FileBackup, b: FileBackup): number {
  const [first, second] = [a.finishedAt ?? '9', b.finishedAt ?? '9'];
  if (first !== second) return first < second ? -1 : 1;
  return a.checkpoint < b.checkpoint ? -1 : Number(a.checkpoint > b.checkpoint);
}

/** RMAN's own tags (TAG20240312T100000) name one command; a tag given by people gets the time beside it. */
function nameGroups(groups: readonly Group[]): void {
  const used = new Map<string, number>();
  for (const group of groups) {
    const [first] = group.files.values();
    const tag = first?.group.split('\n')[0] ?? '';
    const time = group.finishedWall?.replaceAll(/[-:]/g, '') ?? 'running';
    const name = /^(?:TAG\d{8}T\d{6}|set_)/.test(tag) ? tag : `${tag.replaceAll(' ', '_')}@${time}`;
    const count = (used.get(name) ?? 0) + 1;
    used.set(name, count);
    group.label = count === 1 ? name : `${name} #${count}`;
  }
}

type ByFile = ReadonlyMap<string, readonly FileBackup[]>;

/** Rising by checkpoint. */
function sortByFile(fileBackups: readonly FileBackup[]): ByFile {
  const byFile = new Map<string, FileBackup[]>();
  for (const one of fileBackups) {
    const list = byFile.get(one.file);
    if (list === undefined) byFile.set(one.file, [one]);
    else list.push(one);
  }
  for (const list of byFile.values()) list.sort((a, b) => (a.checkpoint < b.checkpoint ? -1 : 1));
  return byFile;
}

/** A chain for every file the database had then, or why there is no whole database after this command. */
function assemble(group: Group, byFile: ByFile, known: KnownFiles, tree: IncarnationTree): Chain[] | string {
  const path = pathUp(tree.incarnations, group.incarnation);
  const chains: Chain[] = [];
  let begins: Position | null = null;
  for (const one of group.files.values()) {
    chains.push(chainOf(one, byFile, path));
    begins = begins === null ? one.checkpoint : upper(begins, one.checkpoint);
  }
  const absent: string[] = [];
  for (const { file, creation, name } of known) {
    // A file that was created later is made anew from redo (RMAN and SQL recovery both do it).
    if (group.files.has(file) || (begins !== null && creation >= begins)) continue;
    const best = newestBefore(byFile.get(file) ?? [], group, path);
    if (best === undefined) absent.push(name);
    else chains.push(chainOf(best, byFile, path));
  }
  if (absent.length === 0) return chains;
  const more = absent.length > 3 ? ` and ${absent.length - 3} more` : '';
  return `${group.label} is no backup of the whole database: nothing it could stand on holds ${absent.slice(0, 3).join(', ')}${more}`;
}

function newestBefore(
  rising: readonly FileBackup[],
  { finishedAt }: Group,
  path: ReadonlyMap<number, Position>,
): FileBackup | undefined {
  let spare: FileBackup | undefined;
  for (let at = rising.length - 1; at >= 0; at -= 1) {
    const one = rising[at]!; // below the length
    if (!isOnPath(one, path) || (one.finishedAt ?? '9') > (finishedAt ?? '9')) continue;
    if (one.state === 'available') return one;
    spare ??= one;
  }
  return spare;
}

function isOnPath({ incarnation, checkpoint }: FileBackup, path: ReadonlyMap<number, Position>): boolean {
  const cut = path.get(incarnation);
  return cut !== undefined && checkpoint <= cut;
}

/** From a level 1 down to its level 0; where a level is not recorded, what is there ends with a missing one. */
function chainOf(top: FileBackup, byFile: ByFile, path: ReadonlyMap<number, Position>): Chain {
  const chain = [top];
  for (let at = top; at.level !== null && at.level > 0 && at.incrementalFrom > 0n;) {
    const base = findBase(at, byFile.get(at.file) ?? [], path);
    if (base === undefined) {
      chain.push({ ...at, level: 0, state: 'missing', handles: [], set: null });
      break;
    }
    chain.push(base);
    at = base;
  }
  return chain;
}

/** What a level 1 can be applied to: a level whose checkpoint lies in [its own beginning, its own checkpoint). */
function findBase(
  { incrementalFrom, checkpoint }: FileBackup,
  rising: readonly FileBackup[],
  path: ReadonlyMap<number, Position>,
): FileBackup | undefined {
  let spare: FileBackup | undefined;
  for (let at = lowestAtOrAbove(rising, checkpoint) - 1; at >= 0; at -= 1) {
    const one = rising[at]!; // below the length
    if (one.checkpoint < incrementalFrom) break;
    if (one.level === null || !isOnPath(one, path)) continue;
    if (one.state === 'available') return one;
    spare ??= one;
  }
  return spare;
}

function lowestAtOrAbove(rising: readonly FileBackup[], checkpoint: Position): number {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rising[middle]!.checkpoint < checkpoint) low = middle + 1;
    else high = middle;
  }
  return low;
}

function describe(
  group: Group,
  chains: readonly Chain[],
  groupOf: ReadonlyMap<FileBackup, Group>,
  whole: ReadonlySet<Group>,
): BackupEntry {
  const requires = new Set<string>();
  const own: FileBackup[] = [];
  for (const part of chains.flat()) {
    const other = groupOf.get(part);
    if (other !== undefined && other !== group && whole.has(other)) requires.add(other.label);
    else own.push(part);
  }
  const { start, consistentFrom } = reachOf(chains.map((chain) => chain[0]!)); // a chain has its top
  const sets = new Set(own.flatMap(({ set }) => (set === null ? [] : [set])));
  const bytes =
    [...sets].reduce((sum, set) => sum + set.bytes, 0) + own.reduce((sum, one) => sum + one.bytes, 0);
  const devices = new Set(own.map(({ device }) => device));
  const backup: Backup = {
    label: group.label,
    incarnation: group.incarnation,
    kind: consistentFrom !== null && start === consistentFrom ? 'cold' : 'managed',
    start,
    consistentFrom,
    startedAt: group.startedAt,
    finishedAt: consistentFrom === null ? null : group.finishedAt,
    device: devices.size === 0 ? null : [...devices].sort().join(', '),
    state: worst(own.map(({ state }) => state)),
    ownLog: false,
    grade: null,
    pinned: [...group.files.values()].some(({ pinned }) => pinned),
    bytes,
    ...(requires.size === 0 ? {} : { requires: [...requires].sort() }),
  };
  return { backup, parts: [...new Set(chains.flat())] };
}

/** Lowest redo any file needs, and the highest position below which some file does not agree yet; null: not known. */
function reachOf(tops: readonly FileBackup[]): { start: Position; consistentFrom: Position | null } {
  let start: Position | null = null;
  let consistentFrom: Position | null = tops[0]?.checkpoint ?? null;
  for (const top of tops) {
    if (top.redoFrom !== null) start = start === null ? top.redoFrom : lower(start, top.redoFrom);
    consistentFrom =
      consistentFrom === null || top.consistentFrom === null
        ? null
        : upper(consistentFrom, top.consistentFrom);
  }
  const highest = tops.reduce<Position | null>(
    (high, { checkpoint }) => (high === null ? checkpoint : upper(high, checkpoint)),
    null,
  );
  const from = start ?? highest!; // a whole database has a file
  return { start: consistentFrom === null ? from : lower(from, consistentFrom), consistentFrom };
}
