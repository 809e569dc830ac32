import type { RecordState } from '../../recovery/catalog.ts';
import { asPosition, type Position } from '../../recovery/position.ts';
import type { ControlFileRows, RowOf } from './control-file.ts';
import type { ServerClock } from './clock.ts';
import type { IncarnationTree } from './incarnations.ts';
import type { SetStates } from './logs.ts';
import { after, readCount, readNumber, readScn, readScnOrNull } from './values.ts';

/** One datafile in one backup set, or one image copy of it. */
export interface FileBackup {
  /** Number and creation SCN: a number is used again after its file was dropped. */
  file: string;
  /** What one BACKUP command made, or one tag of copies. */
  group: string;
  set: BackupSet | null;
  incarnation: number;
  /** null: a full backup outside any incremental strategy. */
  level: number | null;
  /** Level 1: the blocks changed since are in it. 0: all of them. */
  incrementalFrom: Position;
  checkpoint: Position;
  /** Where this file alone needs redo from; null: it was not written to since, so from nowhere. */
  redoFrom: Position | null;
  /** Lowest "until" at which this file is consistent; null: unknown (a copy made in backup mode, cataloged later). */
  consistentFrom: Position | null;
  state: RecordState;
  bytes: number;
  startedAt: string | null;
  finishedAt: string | null;
  /** The same as the server's own clock shows it: it stays the same when the zone is read otherwise. */
  finishedWall: string | null;
  pinned: boolean;
  /** Piece or copy, as the server names it. */
  handles: string[];
  device: string;
}

/** A backup set with its pieces, by `SET_STAMP.SET_COUNT`. */
export interface BackupSet {
  key: string;
  type: string | null;
  tag: string | null;
  /** The RMAN command that made it, where the control file still knows. */
  job: string | null;
  state: RecordState;
  bytes: number;
  handles: string[];
  device: string;
  startedAt: string | null;
  finishedAt: string | null;
  finishedWall: string | null;
  pinned: boolean;
}

/** Sets and pieces. Of a duplexed piece one copy suffices; a set can be read only when each of its pieces can. */
export function readBackupSets(rows: ControlFileRows, clock: ServerClock): ReadonlyMap<string, BackupSet> {
  const piecesOf = new Map<string, RowOf<'backupPieces'>[]>();
  for (const piece of rows.backupPieces) {
    const key = `${piece.setStamp ?? ''}.${piece.setCount ?? ''}`;
    const list = piecesOf.get(key);
    if (list === undefined) piecesOf.set(key, [piece]);
    else list.push(piece);
  }
  const sets = new Map<string, BackupSet>();
  for (const row of rows.backupSets) {
    const key = `${row.setStamp ?? ''}.${row.setCount ?? ''}`;
    const best = choosePieces(piecesOf.get(key) ?? []);
    const [first] = best;
    const keptUntil = clock.toInstant(row.keepUntil);
    sets.set(key, {
      key,
      type: row.type,
      tag: first?.tag ?? null,
      job: nameJob(first),
      state: stateOfSet(best, readCount(row.pieces)),
      bytes: best.reduce((sum, { bytes }) => sum + readCount(bytes), 0),
      handles: best.flatMap(({ handle }) => (handle === null ? [] : [handle])),
      device: placeOf(first?.device ?? null, first?.handle ?? null),
      startedAt: clock.toInstant(row.started),
      finishedAt: clock.toInstant(row.finished),
      finishedWall: row.finished,
      pinned: row.keep === 'YES' && (keptUntil === null || Date.parse(keptUntil) > clock.nowMs),
    });
  }
  return sets;
}

function nameJob(piece: RowOf<'backupPieces'> | undefined): string | null {
  if (piece === undefined || piece.jobRecid === null || piece.jobRecid === '0') return null;
  return `${piece.jobRecid}.${piece.jobStamp ?? ''}`;
}

/** For each piece its best copy, by piece. */
function choosePieces(pieces: readonly RowOf<'backupPieces'>[]): RowOf<'backupPieces'>[] {
  const best = new Map<number, RowOf<'backupPieces'>>();
  for (const piece of pieces) {
    const number = readCount(piece.piece);
    const other = best.get(number);
    if (other === undefined || (stateOfPiece(other) !== 'available' && stateOfPiece(piece) === 'available')) {
      best.set(number, piece);
    }
  }
  return [...best].sort(([a], [b]) => a - b).map(([, piece]) => piece);
}

function stateOfPiece({ status, deleted }: RowOf<'backupPieces'>): RecordState {
  if (status === 'A' && deleted !== 'YES') return 'available';
  return status === 'X' ? 'expired' : 'missing';
}

function stateOfSet(pieces: readonly RowOf<'backupPieces'>[], count: number): RecordState {
  if (pieces.length === 0 || pieces.length < count) return 'missing';
  return worst(pieces.map(stateOfPiece));
}

const badness: readonly RecordState[] = ['available', 'damaged', 'expired', 'missing'];

export function worst(states: readonly RecordState[]): RecordState {
  return states.reduce(
    (a, b) => (badness.indexOf(b) > badness.indexOf(a) ? b : a),
    'available' as RecordState,
  );
}

export function statesOf(sets: ReadonlyMap<string, BackupSet>): SetStates {
  return new Map([...sets].map(([key, { state }]) => [key, state]));
}

/** `DISK /backup/erp`, `SBT_TAPE`: where it lies, as far as a name says it. */
function placeOf(device: string | null, handle: string | null): string {
  if (device !== null && device !== 'DISK') return device;
  const end = handle === null ? -1 : Math.max(handle.lastIndexOf('/'), handle.lastIndexOf('\\'));
  return end > 0 ? (handle?.slice(0, end) ?? 'DISK') : 'DISK';
}

/** Every backup of every datafile (the control file itself is file 0 and left out), of sets and of copies. */
export function readFileBackups(
  rows: ControlFileRows,
  tree: IncarnationTree,
  clock: ServerClock,
  sets: ReadonlyMap<string, BackupSet>,
): FileBackup[] {
  const quiet = readQuietness(rows);
  const inSets = rows.backupDatafiles
    .filter(({ file }) => file !== '0')
    .map((row): FileBackup => {
      const set = sets.get(`${row.setStamp ?? ''}.${row.setCount ?? ''}`) ?? null;
      const checkpoint = readScn(row.checkpoint, 'V$BACKUP_DATAFILE.CHECKPOINT_CHANGE#');
      const tag = set?.tag ?? `set_${row.setStamp ?? ''}.${row.setCount ?? ''}`;
      return {
        file: fileKey(row),
        group: set?.job === null || set?.job === undefined ? tag : `${tag}\n${set.job}`,
        set,
        incarnation: tree.idOf(row),
        level: row.level === null ? null : readNumber(row.level, 'V$BACKUP_DATAFILE.INCREMENTAL_LEVEL'),
        incrementalFrom: readScnOrNull(row.incrementalFrom) ?? asPosition(0n),
        checkpoint,
        redoFrom: quiet(row, checkpoint),
        consistentFrom: consistentFrom(checkpoint, row.fuzzy),
        state: isCorrupt(row) ? worst(['damaged', set?.state ?? 'missing']) : (set?.state ?? 'missing'),
        bytes: 0,
        startedAt: set?.startedAt ?? null,
        finishedAt: set?.finishedAt ?? clock.toInstant(row.finished),
        finishedWall: set?.finishedWall ?? row.finished,
        pinned: set?.pinned ?? false,
        handles: [],
        device: set?.device ?? 'DISK',
      };
    });
  const copies = rows.copies
    .filter(({ file }) => file !== '0')
    .map((row): FileBackup => {
      const checkpoint = readScn(row.checkpoint, 'V$DATAFILE_COPY.CHECKPOINT_CHANGE#');
      const fuzzy = row.backupFuzzy === 'YES' || row.onlineFuzzy === 'YES';
      const finishedAt = clock.toInstant(row.finished);
      return {
        file: fileKey(row),
        group: `copies_${row.tag ?? `of_${row.finished?.slice(0, 10) ?? 'no_date'}`}`,
        set: null,
        incarnation: tree.idOf(row),
        level: row.level === null ? null : 0,
        incrementalFrom: asPosition(0n),
        checkpoint,
        redoFrom: quiet(row, checkpoint),
        consistentFrom: fuzzy ? null : consistentFrom(checkpoint, row.fuzzy),
        state: stateOfCopy(row),
        bytes: readCount(row.blocks) * readCount(row.blockSize),
        startedAt: finishedAt,
        finishedAt,
        finishedWall: row.finished,
        pinned: row.keep === 'YES',
        handles: row.name === null ? [] : [row.name],
        device: placeOf('DISK', row.name),
      };
    });
  return [...inSets, ...copies];
}

export function fileKey({ file, creation }: { file: string | null; creation: string | null }): string {
  return `${file ?? ''}@${creation ?? ''}`;
}

/** Absolute fuzzy: the highest change that was found in the file; recovery must go strictly beyond it. */
function consistentFrom(checkpoint: Position, fuzzyText: string | null): Position {
  const fuzzy = readScnOrNull(fuzzyText);
  return fuzzy !== null && fuzzy > checkpoint ? after(fuzzy) : checkpoint;
}

type CorruptCounts = Pick<RowOf<'copies'>, 'markedCorrupt' | 'mediaCorrupt' | 'logicallyCorrupt'>;

function isCorrupt({ markedCorrupt, mediaCorrupt, logicallyCorrupt }: CorruptCounts): boolean {
  return readCount(markedCorrupt) > 0 || readCount(mediaCorrupt) > 0 || readCount(logicallyCorrupt) > 0;
}

function stateOfCopy(row: RowOf<'copies'>): RecordState {
  if (row.name === null || row.deleted === 'YES') return 'missing';
  if (row.status === 'X') return 'expired';
  if (row.status !== 'A') return 'missing';
  return isCorrupt(row) ? 'damaged' : 'available';
}

/**
 * Where redo for a restored file begins. A file that was read-only, offline or cleanly closed when it was backed up has an
 * old checkpoint and needs no redo from there: none at all while it still stands so, else from where it was written to
 * again (the last offline range, which V$DATAFILE keeps). Only what the control file says exactly is believed.
 */
function readQuietness(
  rows: ControlFileRows,
): (backup: { file: string | null; creation: string | null }, checkpoint: Position) => Position | null {
  const files = new Map(rows.datafiles.map((row) => [fileKey(row), row]));
  return (backup, checkpoint) => {
    const row = files.get(fileKey(backup));
    if (row === undefined) return checkpoint;
    // The seed of a container database (container 2) is never opened for writing.
    const isClosed = row.last !== null && rows.database[0]?.openMode === 'READ WRITE';
    const rests = row.enabled === 'READ ONLY' || row.container === '2' || isClosed;
    if (rests && row.checkpoint === checkpoint.toString()) return null;
    const offline = readScnOrNull(row.offlineFrom);
    const online = readScnOrNull(row.onlineFrom);
    if (offline !== null && online !== null && checkpoint === offline && online > checkpoint) return online;
    return checkpoint;
  };
}
