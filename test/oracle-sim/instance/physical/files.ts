import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { OraError } from '../../wire/values.ts';
import { controlBlocks, dataBlocks, redoBlocks, withBlocks } from './block-headers.ts';
import type { ControlFile, DataFile, FileHeader, Page, RedoLog } from './types.ts';

/** JSON with bigint as `"123n"` and maps as `{ "map": [[…]] }`. */
export function toText(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (inner instanceof Map) return { map: [...inner] };
    return typeof inner === 'bigint' ? `${inner}n` : inner;
  });
}

export function fromText(text: string): unknown {
  return JSON.parse(text, (_, inner: unknown) => {
    if (typeof inner === 'string' && /^-?\d+n$/.test(inner)) return BigInt(inner.slice(0, -1));
    const isMap = typeof inner === 'object' && inner !== null && 'map' in inner && Array.isArray(inner.map);
    return isMap ? new Map(inner.map as [unknown, unknown][]) : inner;
  });
}

function write(path: string, content: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.part`, content);
  renameSync(`${path}.part`, path);
}

/** The file's first line says what it is; a file of another kind, cut or changed is refused. */
function read(path: string, kind: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new OraError(
      27037,
      `unable to obtain file status\nLinux-x86_64 Error: 2: No such file or directory: ${path}`,
    );
  }
  // Before it stand the blocks by which a real file is recognised.
  const lines = text.slice(Math.max(0, text.indexOf(magic('')))).split('\n');
  if (lines[0] !== magic(kind) || lines.at(-2) !== 'END' || lines.at(-1) !== '') {
    throw new OraError(27047, `unable to read the header block of file ${path}`);
  }
  return lines.slice(1, -2);
}

function magic(kind: string): string {
  return `SIMULATED ORACLE ${kind}`;
}

function assemble(kind: string, lines: readonly string[]): string {
  return `${[magic(kind), ...lines, 'END'].join('\n')}\n`;
}

export function writeControlFile(path: string, control: ControlFile): void {
  write(path, withBlocks(controlBlocks(control), assemble('CONTROL FILE', [toText(control)])));
}

export function readControlFile(path: string): ControlFile {
  return fromText(read(path, 'CONTROL FILE')[0]!) as ControlFile;
}

/** A header, then a page a line: what `cp` copies. */
export function writeDataFile(path: string, { header, pages }: DataFile): void {
  const lines = Array.from(pages, ([id, page]) => toText([id, page]));
  const content = withBlocks(dataBlocks(header), assemble('DATAFILE', [toText(header), ...lines]));
  if (existsSync(path)) writeInPlace(path, content);
  else write(path, content);
}

/** A datafile stays the file it is: by its inode it is told from a copy (R8). */
function writeInPlace(path: string, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  try {
    writeSync(file, bytes, 0, bytes.length, 0);
    ftruncateSync(file, bytes.length);
  } finally {
    closeSync(file);
  }
}

export function readDataFile(path: string): DataFile {
  const [header = '', ...lines] = read(path, 'DATAFILE');
  return {
    header: fromText(header) as FileHeader,
    pages: new Map(lines.map(readPage)),
  };
}

/** Begins the name of a block that cannot be read: damaged on disk, or copied in the middle of a write. */
export const corruptBlock = 'CORRUPT BLOCK';

function readPage(line: string, index: number): [string, Page] {
  try {
    return fromText(line) as [string, Page];
  } catch {
    return [
      `${corruptBlock} ${index + 1}`,
      { content: null, transaction: 0, before: null, head: -1n, tail: -2n },
    ];
  }
}

export function countCorrupt({ pages }: DataFile): number {
  return [...pages.keys()].filter((id) => id.startsWith(corruptBlock)).length;
}

/** Returns its length. */
export function writeRedoLog(path: string, log: RedoLog): number {
  const { records, ...header } = log;
  const text = assemble('REDO LOG', [toText(header), ...records.map(toText)]);
  const content = withBlocks(redoBlocks(log), text);
  write(path, content);
  return content.length;
}

/** How long the file of this log will be. */
export function redoLogBytes(log: RedoLog): number {
  return Buffer.byteLength(log.records.map(toText).join('\n')) + 1400;
}

export function readRedoLog(path: string): RedoLog {
  const [header = '', ...lines] = read(path, 'REDO LOG');
  const records = lines.map((line) => fromText(line) as RedoLog['records'][number]);
  return { ...(fromText(header) as Omit<RedoLog, 'records'>), records };
}

/** A backup piece: kind and content. */
export function writePiece(path: string, piece: unknown): void {
  write(path, assemble('BACKUP PIECE', [toText(piece)]));
}

export function readPiece(path: string): unknown {
  return fromText(read(path, 'BACKUP PIECE')[0]!);
}

/** What `find` shows of a file. */
export function kindOfFile(path: string): string | null {
  try {
    return /SIMULATED ORACLE (.+)$/m.exec(readFileSync(path, 'latin1').slice(0, 33_000))?.[1] ?? null;
  } catch {
    return null;
  }
}
