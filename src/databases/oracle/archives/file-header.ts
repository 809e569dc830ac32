/**
 * What a file of an archive is, by its first bytes: never by its name or date. Offsets of the file header as BBED shows
 * them (kcvfhhdr in block 1: DBID at 28, name at 32, blocks at 44, file at 52, type at 54, tag at 64; RESETLOGS at 112 and 116,
 * state at 138, tablespace at 338, absolute fuzzy SCN at 384, checkpoint at 484), of a redo log's as its public readers do
 * (sequence at 8, then all of it four bytes earlier; RESETLOGS at 160, thread at 176, SCNs and times at 180 and 192), and of dumps as `strings` shows
 * them; from public descriptions, not from Oracle's own: what does not fit is `unknown`, never guessed.
 */
export type OracleFile =
  | DatafileHeader
  | RedoHeader
  | { kind: 'control file' | 'backup piece'; dbid: string; database: string; blockBytes: number }
  | { kind: 'pump dump'; job: string | null; version: string | null }
  | { kind: 'original dump'; version: string; user: string | null }
  | { kind: 'unknown'; why: string };

export interface DatafileHeader {
  kind: 'datafile';
  dbid: string;
  database: string;
  blockBytes: number;
  blocks: number;
  file: number;
  /** RMAN's tag of an image copy; null: copied by something else. */
  tag: string | null;
  tablespace: string;
  /** SCN of the RESETLOGS that began its incarnation. */
  resetlogs: string;
  checkpoint: string;
  /** Wall clock time of the server's host: `2024-03-12T10:00:00`; null: none. */
  checkpointTime: string | null;
  /** The highest change that RMAN met in an image copy; 0: none. */
  absoluteFuzzy: string;
  /** Copied while it was in backup mode. */
  inBackupMode: boolean;
  /** Copied while it was open: consistent only after recovery. */
  fuzzy: boolean;
}

export interface RedoHeader {
  kind: 'redo log';
  dbid: string;
  database: string;
  blockBytes: number;
  thread: number;
  sequence: number;
  /** SCN of the RESETLOGS that began its incarnation. */
  resetlogs: string;
  first: string;
  /** Wall clock time of the server's host. */
  firstTime: string | null;
  /** null: it was still written. */
  next: string | null;
  nextTime: string | null;
}

/** How much of a file is asked for: block 1 of the largest block size, whole. */
export const headBytes = 65_536;

const magicAt = 28;
const magic = 0x7a7b7c7d;
const types: Readonly<Record<number, OracleFile['kind']>> = {
  1: 'control file',
  3: 'datafile',
  4: 'backup piece',
  6: 'datafile',
};

export function recogniseOracleFile(head: Uint8Array): OracleFile {
  const original = readOriginal(head);
  if (original !== null) return original;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length >= 512 && view.getUint32(magicAt, true) === magic) return readBlocks(head, view, true);
  if (head.length >= 512 && view.getUint32(magicAt, false) === magic) return readBlocks(head, view, false);
  return readPump(head) ?? { kind: 'unknown', why: 'it begins as no file of Oracle does' };
}

function readOriginal(head: Uint8Array): OracleFile | null {
  const text = ascii(head.subarray(0, 256));
  const version = /^\W{0,3}.?T?EXPORT:V(\d\d\.\d\d\.\d\d)/s.exec(text)?.[1];
  if (version === undefined) return null;
  return { kind: 'original dump', version, user: /\n[DU]([^\n\0]{1,128})\n/.exec(text)?.[1] ?? null };
}

/** A dump has no magic of its own: its header holds the quoted name of the job, and then the version. */
function readPump(head: Uint8Array): OracleFile | null {
  const text = ascii(head.subarray(0, 4096));
  const job = /"[^"\0]{1,128}"\."[^"\0]{1,128}"/.exec(text)?.[0] ?? null;
  const version = /\b(\d\d\.\d\d\.\d\d\.\d\d\.\d\d)\b/.exec(text)?.[1] ?? null;
  const isPump = (head[0] ?? 0) >= 1 && (head[0] ?? 0) <= 9 && job !== null && version !== null;
  return isPump ? { kind: 'pump dump', job, version } : null;
}

function readBlocks(head: Uint8Array, view: DataView, little: boolean): OracleFile {
  const blockBytes = view.getUint32(20, little);
  const isBlockSize = blockBytes >= 512 && blockBytes <= 32_768 && (blockBytes & (blockBytes - 1)) === 0;
  if (!isBlockSize || head.length < blockBytes + 512) {
    return { kind: 'unknown', why: `its header says blocks of ${blockBytes} bytes, or it ends in block 1` };
  }
  if (head[1] === redoBlockType) return readRedo(head, view, blockBytes, little);
  const at = (offset: number): number => blockBytes + offset;
  const type = view.getUint16(at(54), little);
  const kind = types[type];
  const dbid = String(view.getUint32(at(28), little));
  const database = textAt(head, at(32), 8);
  if (kind === undefined || !isName(database)) {
    return { kind: 'unknown', why: `its header says type ${type}, which is not known` };
  }
  const about = { dbid, database, blockBytes };
  if (kind !== 'datafile') return { kind: kind as 'control file', ...about };
  const state = view.getUint16(at(138), little);
  const tag = textAt(head, at(64), 32);
  return {
    kind: 'datafile',
    ...about,
    blocks: view.getUint32(at(44), little),
    file: view.getUint16(at(52), little),
    tag: tag === '' ? null : tag,
    tablespace: textAt(head, at(338), Math.min(30, view.getUint16(at(336), little))),
    resetlogs: readScn(view, at(116), little),
    checkpoint: readScn(view, at(484), little),
    checkpointTime: readTime(view.getUint32(at(492), little)),
    absoluteFuzzy: readScn(view, at(384), little),
    inBackupMode: (state & 0x01) !== 0,
    fuzzy: (state & 0x55) !== 0,
  };
}

/** In the second byte of a file: blocks of redo. */
const redoBlockType = 0x22;
const openEnd = (1n << 48n) - 1n;

function readRedo(head: Uint8Array, view: DataView, blockBytes: number, little: boolean): OracleFile {
  const at = (offset: number): number => blockBytes + offset;
  const database = textAt(head, at(28), 8);
  if (!isName(database)) return { kind: 'unknown', why: 'it is redo, and names no database' };
  const next = readScn(view, at(192), little);
  return {
    kind: 'redo log',
    dbid: String(view.getUint32(at(24), little)),
    database,
    blockBytes,
    thread: view.getUint16(at(176), little),
    sequence: view.getUint32(at(8), little),
    resetlogs: readScn(view, at(164), little),
    first: readScn(view, at(180), little),
    firstTime: readTime(view.getUint32(at(188), little)),
    nextTime: readTime(view.getUint32(at(200), little)),
    next: BigInt(next) >= openEnd && BigInt(next) % (openEnd + 1n) === openEnd ? null : next,
  };
}

/** 48 bits as base and wrap; where the wrap's highest bit is set, 63 bits: the wrap is their top, and the middle stands behind. */
function readScn(view: DataView, at: number, little: boolean): string {
  const base = BigInt(view.getUint32(at, little));
  const wrap = BigInt(view.getUint16(at + 4, little));
  if ((wrap & 0x8000n) === 0n || wrap === 0xffffn) return String((wrap << 32n) + base);
  const middle = BigInt(view.getUint16(at + 6, little));
  return String(((wrap & 0x7fffn) << 48n) + (middle << 32n) + base);
}

/** Oracle's STAMP: seconds since 1988 in months of 31 days. */
function readTime(stamp: number): string | null {
  if (stamp === 0 || stamp === 0xffff_ffff) return null;
  const two = (value: number): string => String(value).padStart(2, '0');
  const days = Math.trunc(stamp / 86_400);
  const months = Math.trunc(days / 31);
  const [hours, minutes] = [Math.trunc(stamp / 3600) % 24, Math.trunc(stamp / 60) % 60];
  const date = `${1988 + Math.trunc(months / 12)}-${two((months % 12) + 1)}-${two((days % 31) + 1)}`;
  return `${date}T${two(hours)}:${two(minutes)}:${two(stamp % 60)}`;
}

const isName = (text: string): boolean => /^[A-Z][A-Z0-9_#$]{0,7}$/i.test(text);

function textAt(head: Uint8Array, from: number, length: number): string {
  return ascii(head.subarray(from, from + length)).replaceAll(/[\0 ]+$/g, '');
}

function ascii(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
