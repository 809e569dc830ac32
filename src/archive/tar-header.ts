import { ClonaError } from '../errors.ts';

export const tarBlockBytes = 512;

/** Content is padded to whole blocks. */
export function paddedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / tarBlockBytes) * tarBlockBytes;
}

export interface TarMember {
  path: string;
  sizeBytes: number;
  type: 'file' | 'folder' | 'link';
}

const typeFlags = { file: '0', link: '2', folder: '5' } as const;

/** A ustar header as the server's own (tar.c, tarCreateHeader). */
export function encodeTarHeader(
  member: TarMember & { mode?: number; modifiedAt: Date; linkTarget?: string },
): Buffer {
  const header = Buffer.alloc(tarBlockBytes);
  const name = member.type === 'folder' ? `${member.path}/` : member.path;
  if (Buffer.byteLength(name) > 100 || Buffer.byteLength(member.linkTarget ?? '') > 100) {
    throw new ClonaError('databaseFailed', `the name ${name} is too long for a tar archive`, {
      hint: 'names inside a data directory have at most 99 bytes, targets of tablespace links too',
    });
  }
  header.write(name, 0, 'utf8');
  writeNumber(header, member.mode ?? (member.type === 'folder' ? 0o700 : 0o600), 100, 8);
  writeNumber(header, 0, 108, 8);
  writeNumber(header, 0, 116, 8);
  writeNumber(header, member.sizeBytes, 124, 12);
  writeNumber(header, Math.floor(member.modifiedAt.getTime() / 1000), 136, 12);
  header.fill(' ', 148, 156);
  header.write(typeFlags[member.type], 156, 'latin1');
  header.write(member.linkTarget ?? '', 157, 'utf8');
  header.write('ustar\u000000postgres', 257, 'latin1');
  header.write('postgres', 297, 'latin1');
  writeNumber(header, 0, 329, 8);
  writeNumber(header, 0, 337, 8);
  header.write(`${checksum(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** Undefined for a block of zeros, the end of an archive. Throws `archiveDamaged` for anything that is no header. */
export function decodeTarHeader(block: Buffer, where: string): TarMember | undefined {
  if (block[0] === 0 && block.every((byte) => byte === 0)) return undefined;
  const told = Number.parseInt(text(block, 148, 8), 8);
  if (told !== checksum(block)) {
    throw new ClonaError('archiveDamaged', `${where}: a member's header does not match its checksum`);
  }
  const prefix = text(block, 345, 155);
  const name = text(block, 0, 100);
  const flag = String.fromCharCode(block[156] ?? 0);
  const type = flag === '5' ? 'folder' : flag === '2' || flag === '1' ? 'link' : 'file';
  return {
    path: (prefix === '' ? name : `${prefix}/${name}`).replace(/\/$/, ''),
    sizeBytes: type === 'file' ? readNumber(block, 124, 12) : 0,
    type,
  };
}

function checksum(header: Buffer): number {
  let sum = 8 * 32;
  for (let at = 0; at < tarBlockBytes; at += 1) if (at < 148 || at >= 156) sum += header[at] ?? 0;
  return sum;
}

/** Octal digits; beyond 8 GiB the base-256 form that GNU tar and the server use. */
function writeNumber(header: Buffer, value: number, at: number, length: number): void {
  const digits = value.toString(8);
  if (digits.length < length) {
    header.write(`${digits.padStart(length - 1, '0')}\0`, at, 'latin1');
    return;
  }
  header[at] = 0x80;
  let rest = value;
  for (let place = length - 1; place > 0; place -= 1) {
    header[at + place] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function readNumber(block: Buffer, at: number, length: number): number {
  if (((block[at] ?? 0) & 0x80) === 0) return Number.parseInt(text(block, at, length), 8) || 0;
  let value = 0;
  for (let place = 1; place < length; place += 1) value = value * 256 + (block[at + place] ?? 0);
  return value;
}

function text(block: Buffer, at: number, length: number): string {
  const bytes = block.subarray(at, at + length);
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? length : end).trim();
}
