import { createHash } from 'node:crypto';
import { ClonaError } from '../../errors.ts';
import type { Position } from '../../recovery/position.ts';
import { parseLsn } from './lsn.ts';

/** backup_manifest of PostgreSQL (the manual's chapter "Backup Manifest Format"). */
export interface BackupManifest {
  version: 1 | 2;
  /** Version 2 (servers from 17 on) names its database. */
  systemIdentifier: string | null;
  files: ManifestFile[];
  logRanges: { timeline: number; start: Position; end: Position }[];
}

export type ManifestAlgorithm = 'CRC32C' | 'SHA224' | 'SHA256' | 'SHA384' | 'SHA512';

export interface ManifestFile {
  /** Inside the data directory; its bytes as latin1, because a file's name need not be UTF-8. */
  rawPath: string;
  sizeBytes: number;
  /** null: the backup was taken without checksums. */
  checksum: { algorithm: ManifestAlgorithm; hex: string } | null;
}

const algorithms: ReadonlySet<string> = new Set(['CRC32C', 'SHA224', 'SHA256', 'SHA384', 'SHA512']);

/** Reads a manifest and proves it against its own checksum. `where` names the file in errors (`archiveDamaged`). */
export function parseBackupManifest(content: Buffer, where: string): BackupManifest {
  checkOwnChecksum(content, where);
  const read = readObject(parseJson(content, where), where);
  const version = read['PostgreSQL-Backup-Manifest-Version'];
  if (version !== 1 && version !== 2) {
    throw damaged(where, `format version ${JSON.stringify(version)} is unknown (1 and 2 are known)`);
  }
  const system = read['System-Identifier'];
  return {
    version,
    // A number of 64 bits: JSON.parse would round it, so it is taken from the text.
    systemIdentifier: system === undefined ? null : readSystemIdentifier(content, where),
    files: readList(read['Files'], 'Files', where).map((row, index) =>
      readFileRow(row, `${where}: file ${index + 1}`),
    ),
    logRanges: readList(read['WAL-Ranges'], 'WAL-Ranges', where).map((row, index) =>
      readRange(row, `${where}: log range ${index + 1}`),
    ),
  };
}

/** The last line is a SHA-256 of everything before it. */
function checkOwnChecksum(content: Buffer, where: string): void {
  const end = content.length - 1;
  if (content[end] !== 0x0a) throw damaged(where, 'is cut off');
  const lastLine = content.lastIndexOf(0x0a, end - 1) + 1;
  const [, told] =
    /^"Manifest-Checksum": "([0-9a-f]{64})"\}$/.exec(content.toString('latin1', lastLine, end)) ?? [];
  if (told === undefined) throw damaged(where, 'ends without its checksum');
  const found = createHash('sha256').update(content.subarray(0, lastLine)).digest('hex');
  if (found !== told) throw damaged(where, 'does not match its own checksum');
}

function parseJson(content: Buffer, where: string): unknown {
  try {
    return JSON.parse(content.toString('utf8'));
  } catch (error) {
    throw damaged(where, 'is not JSON', error);
  }
}

function readSystemIdentifier(content: Buffer, where: string): string {
  const [, digits] = /"System-Identifier":\s*(\d{1,20})/.exec(content.toString('latin1', 0, 400)) ?? [];
  if (digits === undefined) throw damaged(where, 'names no system identifier');
  return digits;
}

function readFileRow(row: unknown, where: string): ManifestFile {
  const read = readObject(row, where);
  const {
    Path: path,
    'Encoded-Path': encoded,
    Size: size,
    'Checksum-Algorithm': algorithm,
    Checksum: hex,
  } = read;
  let bytes: Buffer;
  if (typeof path === 'string') bytes = Buffer.from(path, 'utf8');
  else if (typeof encoded === 'string' && /^([0-9a-f]{2})+$/i.test(encoded))
    bytes = Buffer.from(encoded, 'hex');
  else throw damaged(where, 'has no path');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw damaged(where, 'has no size');
  if (algorithm === undefined) return { rawPath: bytes.toString('latin1'), sizeBytes: size, checksum: null };
  if (typeof algorithm !== 'string' || !algorithms.has(algorithm) || typeof hex !== 'string') {
    throw damaged(where, 'has a checksum of an unknown kind');
  }
  return {
    rawPath: bytes.toString('latin1'),
    sizeBytes: size,
    // The set above holds just the names of the type.
    checksum: { algorithm: algorithm as ManifestAlgorithm, hex: hex.toLowerCase() },
  };
}

function readRange(row: unknown, where: string): BackupManifest['logRanges'][number] {
  const { Timeline: timeline, 'Start-LSN': start, 'End-LSN': end } = readObject(row, where);
  if (typeof timeline !== 'number' || typeof start !== 'string' || typeof end !== 'string') {
    throw damaged(where, 'is not complete');
  }
  return { timeline, start: parseLsn(start, where), end: parseLsn(end, where) };
}

function readObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged(where, 'is not an object');
  return value as Record<string, unknown>;
}

function readList(value: unknown, name: string, where: string): unknown[] {
  if (!Array.isArray(value)) throw damaged(where, `has no list ${name}`);
  return value;
}

function damaged(where: string, what: string, cause?: unknown): ClonaError {
  return new ClonaError('archiveDamaged', `${where}: ${what}`, {
    cause,
    hint: 'the mirror may hold a whole copy; another backup may serve',
  });
}
