import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { pack, type Header } from 'tar-stream';

export interface TestFile {
  path: string;
  content: string | Buffer;
  /** Default 0o644. */
  mode?: number;
}

export const plainManifest = `name: erp
version: "2.1"
fromVersions: ["2.0"]
steps:
  - sql: migrate.sql
`;

export const plainKit: readonly TestFile[] = [
  { path: 'kit.yaml', content: plainManifest },
  { path: 'migrate.sql', content: 'ALTER TABLE item ADD COLUMN note text;\n' },
  { path: 'program/bin/erp', content: '#!/bin/sh\necho erp\n', mode: 0o755 },
  { path: 'program/.hidden', content: 'dotfiles count' },
  { path: 'program/ärger.txt', content: 'not ASCII' },
];

export async function writeFolder(directory: string, files: readonly TestFile[]): Promise<string> {
  for (const { path, content, mode = 0o644 } of files) {
    const full = join(directory, path);
    await mkdir(dirname(full), { recursive: true });
    await writeFile(full, content);
    await chmod(full, mode);
  }
  return directory;
}

export async function tarOf(
  entries: readonly (Partial<Header> & { name: string; content?: string | Buffer })[],
): Promise<Buffer> {
  const packer = pack();
  for (const { content, ...header } of entries) {
    if (header.type === undefined || header.type === 'file') packer.entry(header, content ?? '');
    else packer.entry(header).end(undefined);
  }
  packer.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of packer) chunks.push(chunk as Buffer); // the packer makes Buffers
  return Buffer.concat(chunks);
}

export function tarFiles(files: readonly TestFile[], prefix = ''): Promise<Buffer> {
  return tarOf(files.map(({ path, content, mode = 0o644 }) => ({ name: `${prefix}${path}`, content, mode })));
}

export interface ZipEntry {
  name: string;
  content: string | Buffer;
  /** With the type bits, as stat has it. */
  mode?: number;
  /** 3: Unix, 0: DOS (no mode). */
  madeBy?: number;
  /** A lie about the content's checksum. */
  crc?: number;
}

/** A zip with stored entries and whatever names are asked for. */
export function zipOf(entries: readonly ZipEntry[]): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const { name, content, mode = 0o100644, madeBy = 3, crc } of entries) {
    const data = Buffer.from(content);
    const nameBytes = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x0800, 2); // names are UTF-8
    common.writeUInt32LE(crc ?? crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(nameBytes.length, 22);
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, nameBytes, data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((mode << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    const maker = Buffer.from([20, madeBy]);
    centrals.push(Buffer.concat([Buffer.from('PK\u0001\u0002'), maker, common, tail, nameBytes]));
    locals.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.write('PK\u0005\u0006', 0, 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

export function zipFiles(files: readonly TestFile[], prefix = ''): Buffer {
  return zipOf(
    files.map(({ path, content, mode = 0o644 }) => ({
      name: `${prefix}${path}`,
      content,
      mode: 0o100000 | mode,
    })),
  );
}
