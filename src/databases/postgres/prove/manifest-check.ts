import { combineCrc32c } from '../../../archive/crc32c-combine.ts';
import { formatCrc32c } from '../../../archive/crc32c.ts';
import type { BackupManifest } from '../manifest.ts';
import type { ArchiveProblem } from './checksum-report.ts';
import type { FilePiece } from './frame-check.ts';

/** Files of a backup that the server leaves out of backup_manifest (the manual: Backup Manifest Format). */
function isOutside(path: string): boolean {
  return path.startsWith('pg_wal/') || path === 'backup_manifest';
}

/**
 * Every file of the manifest is there, whole and with its checksum, and nothing else is. Checksums are CRC-32C, summed by
 * ranges; clona asks for no other kind, one of another kind is a problem: it could not be proven.
 */
export function compareWithManifest(
  manifest: BackupManifest,
  pieces: ReadonlyMap<string, readonly FilePiece[]>,
): ArchiveProblem[] {
  const problems: ArchiveProblem[] = [];
  const named = new Set<string>();
  for (const { rawPath, sizeBytes, checksum } of manifest.files) {
    // Names are bytes: the tar's were read as UTF-8.
    const path = Buffer.from(rawPath, 'latin1').toString('utf8');
    named.add(path);
    const found = joinPieces(pieces.get(path));
    if (found === undefined)
      problems.push({ file: path, message: 'is in backup_manifest and not in the backup' });
    else if (typeof found === 'string') problems.push({ file: path, message: found });
    else if (found.bytes !== sizeBytes) {
      problems.push({ file: path, message: `has ${found.bytes} bytes and should have ${sizeBytes}` });
    } else if (checksum === null)
      problems.push({ file: path, message: 'has no checksum in backup_manifest' });
    else if (checksum.algorithm !== 'CRC32C') {
      problems.push({
        file: path,
        message: `has a checksum of kind ${checksum.algorithm}, which is not checked here`,
      });
    } else if (formatCrc32c(found.crc32c) !== checksum.hex) {
      problems.push({ file: path, message: 'does not match its checksum in backup_manifest' });
    }
  }
  for (const path of pieces.keys()) {
    if (!named.has(path) && !isOutside(path))
      problems.push({ file: path, message: 'is not in backup_manifest' });
  }
  return problems;
}

/** The pieces of one file as one range from its beginning; a text says why they are not one. */
function joinPieces(
  pieces: readonly FilePiece[] | undefined,
): { bytes: number; crc32c: number } | string | undefined {
  if (pieces === undefined) return undefined;
  const joined = { bytes: 0, crc32c: 0 };
  for (const piece of pieces.toSorted((a, b) => a.offset - b.offset)) {
    if (piece.offset !== joined.bytes)
      return `has ${piece.offset < joined.bytes ? 'ranges twice' : 'a hole'} at ${joined.bytes}`;
    joined.crc32c =
      joined.bytes === 0 ? piece.crc32c : combineCrc32c(joined.crc32c, piece.crc32c, piece.bytes);
    joined.bytes += piece.bytes;
  }
  const told = pieces[0]?.fileBytes ?? 0;
  return told === joined.bytes ? joined : `ends at ${joined.bytes} of ${told} bytes`;
}
