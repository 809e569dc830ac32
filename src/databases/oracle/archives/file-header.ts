/**
 * What a file of an archive is, by its first bytes: never by its name or date. Offsets of the file header as BBED shows
 * them (kcvfhhdr in block 1: DBID at 28, name at 32, blocks at 44, file at 52, type at 54, tag at 64; state at 138, checkpoint at 484),
 * and of dumps as `strings` shows them; from public descriptions, not from Oracle's own: what does not fit is `unknown`, never guessed.
 */
export type OracleFile =
  | DatafileHeader
  | { kind: 'control file' | 'redo log' | 'backup piece'; dbid: string; database: string; blockBytes: number }
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
  checkpoint: string;
  /** Copied while it was in backup mode. */
  inBackupMode: boolean;
  /** Copied while it was open: consistent only after recovery. */
  fuzzy: boolean;
}

/** How much of a file is asked for: block 1 of the largest block size, whole. */
export const headBytes = 65_536;

const magicAt = 28;
const magic = 0x7a7b7c7d;
const types: Readonly<Record<number, OracleFile['kind']>> = {
  1: 'control file',
  2: 'redo log',
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
  const at = (offset: number): number => blockBytes + offset;
  const type = view.getUint16(at(54), little);
  const kind = types[type];
  const dbid = String(view.getUint32(at(28), little));
  const database = ascii(head.subarray(at(32), at(40))).replaceAll(/[\0 ]+$/g, '');
  if (kind === undefined || !/^[A-Z][A-Z0-9_#$]{0,7}$/i.test(database)) {
    return { kind: 'unknown', why: `its header says type ${type}, which is not known` };
  }
  const about = { dbid, database, blockBytes };
  if (kind !== 'datafile') return { kind: kind as 'control file', ...about };
  const state = view.getUint16(at(138), little);
  const tag = ascii(head.subarray(at(64), at(96))).replaceAll(/[\0 ]+$/g, '');
  const base = view.getUint32(at(484), little);
  const wrap = view.getUint16(at(488), little);
  return {
    kind: 'datafile',
    ...about,
    blocks: view.getUint32(at(44), little),
    file: view.getUint16(at(52), little),
    tag: tag === '' ? null : tag,
    checkpoint: String((BigInt(wrap) << 32n) + BigInt(base)),
    inBackupMode: (state & 0x01) !== 0,
    fuzzy: (state & 0x55) !== 0,
  };
}

function ascii(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
