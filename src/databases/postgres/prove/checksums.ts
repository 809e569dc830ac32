import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { ArchiveFile, BackupHeader } from '../../../archive/format.ts';
import {
  backupFolder,
  openArchive,
  readBackupHeader,
  refuseVanished,
  type Archive,
} from '../../../archive/repository.ts';
import { openRegular } from '../../../archive/regular-file.ts';
import { ClonaError } from '../../../errors.ts';
import { silent, type OnProgress } from '../../../progress.ts';
import { readManifest } from '../catalog-files.ts';
import { parseBackupManifest, type BackupManifest } from '../manifest.ts';
import { ChecksumFindings } from './checksum-findings.ts';
import { createCheckPool, type CheckPool } from './check-pool.ts';
import type { FrameRules } from './frame-check.ts';
import type { ChecksumReport } from './checksum-report.ts';

export interface ChecksumOptions {
  archiveDir: string;
  label: string;
  /** Threads. Default: what the host has, at most 8. */
  workers?: number | undefined;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
}

/**
 * Grade 1 (R15): the archive of one backup is what the server gave. SHA-256 of each compressed file, checksum of each
 * frame, of each file against backup_manifest, of backup_manifest and backup.json against themselves, of each page
 * against its own; carried log by its page headers. Everything is read twice at most and unpacked in memory only.
 * A broken backup is the answer, not an exception; throws `archiveMissing` where there is no archive or backup at all.
 */
export async function proveChecksums(options: ChecksumOptions): Promise<ChecksumReport> {
  const { archiveDir, label, signal, onProgress = silent } = options;
  const started = performance.now();
  const proof = new ChecksumFindings(label);
  const archive = await openOr(proof, archiveDir);
  if (archive !== null) {
    await requireFolder(archive, label);
    // Threads take a while to start: they do while the small files are read.
    await using pool = createCheckPool(options.workers ?? Math.min(8, availableParallelism()), signal);
    const header = await proof.attempt('backup.json', async () => readBackupHeader(archive, label));
    const manifest = header === null ? null : await checkManifest(proof, archive, header);
    if (header !== null) {
      const step = `checksums of ${label}`;
      onProgress({ step, state: 'started', totalBytes: header.rawBytes });
      await Promise.all(
        header.archives.map(async (file) => checkArchiveFile(proof, archive, header, file, pool, signal)),
      );
      proof.checkCarriedLog(header, archive.header.segmentSizeBytes);
      if (manifest !== null) proof.compare(manifest);
      onProgress({ step, state: proof.passed ? 'done' : 'failed', doneBytes: header.rawBytes });
    }
  }
  if (archive !== null && !proof.passed) await refuseVanished(archive.folder);
  return proof.report((performance.now() - started) / 1000);
}

/** A header that does not read is a finding; a folder that is no archive at all is an error. */
async function openOr(proof: ChecksumFindings, archiveDir: string): Promise<Archive | null> {
  try {
    return await openArchive(archiveDir);
  } catch (error) {
    if (!(error instanceof ClonaError) || error.kind === 'archiveMissing') throw error;
    proof.add('clona-archive.json', error.message);
    return null;
  }
}

async function requireFolder(archive: Archive, label: string): Promise<void> {
  const folder = backupFolder(archive, label);
  if ((await stat(folder).catch(() => null)) !== null) return;
  throw new ClonaError('archiveMissing', `the archive ${archive.folder} has no backup ${label}`, {
    hint: 'see: clona catalog --archive DIR',
  });
}

async function checkManifest(
  proof: ChecksumFindings,
  archive: Archive,
  header: BackupHeader,
): Promise<BackupManifest | null> {
  return proof.attempt('backup_manifest', async () => {
    const content = await readManifest(backupFolder(archive, header.label));
    if (createHash('sha256').update(content).digest('hex') !== header.manifestSha256) {
      proof.add('backup_manifest', 'is not the one that backup.json names');
    }
    const manifest = parseBackupManifest(content, 'backup_manifest');
    if (manifest.systemIdentifier !== null && manifest.systemIdentifier !== header.systemIdentifier) {
      proof.add('backup_manifest', `is of system ${manifest.systemIdentifier}`);
    }
    return manifest;
  });
}

async function checkArchiveFile(
  proof: ChecksumFindings,
  archive: Archive,
  header: BackupHeader,
  file: ArchiveFile,
  pool: CheckPool,
  signal: AbortSignal,
): Promise<void> {
  const path = join(backupFolder(archive, header.label), file.name);
  const found = await stat(path).catch(() => null);
  if (found === null) {
    proof.add(file.name, 'is not there');
    return;
  }
  if (found.size !== file.compressedBytes) {
    proof.add(file.name, `has ${found.size} bytes and should have ${file.compressedBytes}`);
  }
  const isWhole = found.size === file.compressedBytes;
  const { dataChecksums, blockSizeBytes } = header.requirements;
  const rules: FrameRules = {
    pages: dataChecksums ? { blockSizeBytes, startPosition: BigInt(header.start) } : null,
    log: {
      segmentSizeBytes: archive.header.segmentSizeBytes,
      systemIdentifier: archive.header.systemIdentifier,
    },
  };
  if (dataChecksums) proof.countPages();
  const hashing = proof.attempt(file.name, async () => {
    // Of another size it cannot match; a sparse file of terabytes would be read for days.
    if (isWhole && (await hashFile(path, signal)) !== file.sha256)
      proof.add(file.name, 'does not match its SHA-256');
  });
  const prefix = file.tablespaceOid === null ? '' : `pg_tblspc/${file.tablespaceOid}/`;
  const frames = file.frames.map(async (frame) => {
    const findings = await pool.checkFrame({ path, frame, rules, where: file.name });
    if (findings instanceof Error) {
      proof.add(file.name, `the frame at ${frame.compressedOffset}: ${findings.message}`);
    } else proof.take(findings, prefix);
  });
  await Promise.all([hashing, ...frames]);
}

async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const handle = await openRegular(path);
  // The stream closes the handle, however it ends.
  for await (const chunk of handle.createReadStream({ highWaterMark: 4 * 2 ** 20, signal })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}
