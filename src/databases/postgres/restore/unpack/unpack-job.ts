import type { Frame } from '../../../../archive/format.ts';
import type { SegmentForm } from '../../catalog-log.ts';

export interface FileOwner {
  uid: number;
  gid: number;
}

/** Unpacks one frame of an archive below `root`. */
export interface FrameJob {
  kind: 'frame';
  source: string;
  frame: Frame;
  root: string;
  /** In front of the members' paths: empty, or `pg_tblspc/<oid>/` for a tablespace. */
  prefix: string;
  owner: FileOwner | null;
  /** Something is there already: read before writing, and write only what differs. */
  compare: boolean;
  /** Of one unpacking: what a thread remembers of another one says nothing about this. */
  run: number;
}

/** Unpacks one frame into memory, for a place that is not this host. */
export interface ReadFrameJob {
  kind: 'read';
  source: string;
  frame: Frame;
  prefix: string;
}

/** Unpacks one segment of the log to `target` and proves it against its trailer. */
export interface SegmentJob {
  kind: 'segment';
  source: string;
  form: SegmentForm;
  target: string;
  owner: FileOwner | null;
  systemIdentifier: string;
  segmentSizeBytes: number;
  /** Where the segment begins, decimal. */
  firstPosition: string;
  timeline: number;
}

/** Reads a file that lies on disk, or a range of it. */
export interface ChecksumJob {
  kind: 'checksum';
  path: string;
  /** Of the whole file: one of another size is not even read. */
  sizeBytes: number;
  range: { offset: number; bytes: number };
  algorithm: 'CRC32C' | 'SHA224' | 'SHA256' | 'SHA384' | 'SHA512';
}

export type UnpackJob = FrameJob | ReadFrameJob | SegmentJob | ChecksumJob;

/** A file, or the part of one that lay in a frame. */
export interface UnpackedPart {
  path: string;
  fileBytes: number;
  offset: number;
  bytes: number;
  crc32c: number;
}

export interface UnpackedFrame {
  parts: UnpackedPart[];
  folders: string[];
  links: string[];
  writtenBytes: number;
}

/** What a frame holds, as tar for another host: without links (they lead to production) and without pg_control (it comes last). */
export interface ReadFrame extends UnpackedFrame {
  tar: Uint8Array<ArrayBuffer>;
  control: { offset: number; bytes: Uint8Array<ArrayBuffer> } | null;
}

export type UnpackResult<Job extends UnpackJob> = Job extends FrameJob
  ? UnpackedFrame
  : Job extends ReadFrameJob
    ? ReadFrame
    : Job extends ChecksumJob
      ? { hex: string | null }
      : Job extends SegmentJob
        ? { rawBytes: number }
        : null;

export interface UnpackAnswer {
  result: unknown;
  /** `damaged`: the source is not what it should be; else a failure of the file system with its code. */
  error: { damaged: boolean; foreign: boolean; message: string; code: string | undefined } | null;
}

/** pg_control is put under this name until all else is proven: without it no server starts. */
export const controlFile = 'global/pg_control';
export const heldControlFile = 'global/pg_control.clona';
