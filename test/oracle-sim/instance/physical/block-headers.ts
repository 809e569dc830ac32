import { stampOf } from './stamps.ts';
import type { ControlFile, FileHeader, RedoLog } from './types.ts';

/** The first two blocks of a file, as real ones begin: what an archive's files are recognised by. Little endian. */
interface Kind {
  blockBytes: number;
  /** Second byte of the file. */
  blockType: number;
}

const kinds = {
  data: { blockBytes: 8192, blockType: 0xa2 },
  control: { blockBytes: 16_384, blockType: 0xc2 },
  redo: { blockBytes: 512, blockType: 0x22 },
} as const satisfies Record<string, Kind>;

/** Names of databases are in no header of the simulator's. */
const name = 'SIM';

function begin({ blockBytes, blockType }: Kind, dbid: bigint, shift: number): Buffer {
  const bytes = Buffer.alloc(blockBytes * 2);
  bytes[1] = blockType;
  bytes.writeUInt32LE(blockBytes, 20);
  bytes.writeUInt32LE(0x7a7b7c7d, 28);
  bytes.writeUInt32LE(Number(dbid & 0xffff_ffffn), blockBytes + 28 - shift);
  bytes.write(name, blockBytes + 32 - shift, 'latin1');
  return bytes;
}

function writeScn(bytes: Buffer, at: number, scn: bigint): void {
  const wide = scn >= 1n << 47n && scn !== (1n << 48n) - 1n;
  bytes.writeUInt32LE(Number(scn & 0xffff_ffffn), at);
  bytes.writeUInt16LE(wide ? 0x8000 + Number((scn >> 48n) & 0x7fffn) : Number(scn >> 32n), at + 4);
  if (wide) bytes.writeUInt16LE(Number((scn >> 32n) & 0xffffn), at + 6);
}

export function dataBlocks(header: FileHeader): Buffer {
  const bytes = begin(kinds.data, header.dbid, 0);
  const at = kinds.data.blockBytes;
  bytes.writeUInt32LE(100, at + 44);
  bytes.writeUInt16LE(header.file, at + 52);
  bytes.writeUInt16LE(3, at + 54);
  writeScn(bytes, at + 116, header.resetlogsScn);
  bytes.writeUInt16LE(0x2000 + (header.backupScn === null ? 0 : 1) + (header.fuzzy ? 4 : 0), at + 138);
  bytes.writeUInt16LE(Math.min(30, header.tablespace.length), at + 336);
  bytes.write(header.tablespace.slice(0, 30), at + 338, 'latin1');
  writeScn(bytes, at + 384, header.absoluteFuzzyScn);
  writeScn(bytes, at + 484, header.checkpointScn);
  bytes.writeUInt32LE(stampOf(header.checkpointAt), at + 492);
  return bytes;
}

export function controlBlocks({ dbid }: ControlFile): Buffer {
  const bytes = begin(kinds.control, dbid, 0);
  bytes.writeUInt16LE(1, kinds.control.blockBytes + 54);
  return bytes;
}

export function redoBlocks(log: RedoLog): Buffer {
  const { dbid, sequence, thread, resetlogsScn, firstScn, firstAt, nextScn, nextAt } = log;
  const bytes = begin(kinds.redo, dbid, 4);
  const at = kinds.redo.blockBytes;
  bytes.writeUInt32LE(sequence, at + 8);
  writeScn(bytes, at + 164, resetlogsScn);
  bytes.writeUInt16LE(thread, at + 176);
  writeScn(bytes, at + 180, firstScn);
  bytes.writeUInt32LE(stampOf(firstAt), at + 188);
  if (nextAt !== null) bytes.writeUInt32LE(stampOf(nextAt), at + 200);
  writeScn(bytes, at + 192, nextScn ?? (1n << 48n) - 1n);
  return bytes;
}

/** A line ends the blocks, so that what follows begins one. */
export function withBlocks(blocks: Buffer, text: string): Buffer {
  return Buffer.concat([blocks, Buffer.from(`\n${text}`)]);
}
