import { createHash } from 'node:crypto';
import { formatCrc32c } from '../../archive/crc32c.ts';
import { formatLsn } from './lsn.ts';

export interface ManifestEntry {
  /** Relative to the data directory; files of a tablespace under pg_tblspc/<oid>/. */
  path: string;
  sizeBytes: number;
  modifiedAt: Date;
  crc32c: number;
}

/**
 * Text of a backup_manifest as the server writes it (the manual's "Backup Manifest Format"): pg_verifybackup reads it.
 * Version 2, from server 17 on, names the system.
 */
export function encodeBackupManifest(
  facts: { serverVersion: number; systemIdentifier: string; timeline: number; start: bigint; stop: bigint },
  entries: readonly ManifestEntry[],
): string {
  const files = entries.map(({ path, sizeBytes, modifiedAt, crc32c }) => {
    const time = modifiedAt
      .toISOString()
      .replace('T', ' ')
      .replace(/\.\d+Z$/, ' GMT');
    return `{ "Path": ${JSON.stringify(path)}, "Size": ${sizeBytes}, "Last-Modified": "${time}", "Checksum-Algorithm": "CRC32C", "Checksum": "${formatCrc32c(crc32c)}" }`;
  });
  const isNew = facts.serverVersion >= 170_000;
  const before = [
    `{ "PostgreSQL-Backup-Manifest-Version": ${isNew ? 2 : 1},\n`,
    isNew ? `"System-Identifier": ${facts.systemIdentifier},\n` : '',
    `"Files": [\n${files.join(',\n')}\n],\n`,
    `"WAL-Ranges": [\n{ "Timeline": ${facts.timeline}, "Start-LSN": "${formatLsn(facts.start)}", "End-LSN": "${formatLsn(facts.stop)}" }\n],\n`,
  ].join('');
  return `${before}"Manifest-Checksum": "${createHash('sha256').update(before).digest('hex')}"}\n`;
}
