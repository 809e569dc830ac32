import type { Frame } from './format.ts';
import { frameBytes, type FramePart } from './frame-job.ts';
import { insideAlignmentBytes, smallestFrameBytes } from './tar-frames.ts';
import { encodeTarHeader, paddedBytes, tarBlockBytes, type TarMember } from './tar-header.ts';

export interface PlannedMember extends TarMember {
  modifiedAt: Date;
  /** Where the worker (or whoever fills the slot) reads it; undefined for folders. */
  source: string | undefined;
  /** How the caller names it: a member of a tablespace's tar has a shorter path there than in the manifest. */
  id: string;
}

export interface PlannedFrame {
  rawBytes: number;
  inside: Frame['inside'];
  parts: FramePart[];
  /** For every file part, in order: which member it belongs to. */
  members: PlannedMember[];
}

/** Lays known files out as the frames of a tar (without its end), by the same rule as TarFramer cuts a stream. */
export function* planFrames(members: Iterable<PlannedMember>): Generator<PlannedFrame> {
  let frame = emptyFrame(null);
  for (const member of members) {
    const total = tarBlockBytes + paddedBytes(member.sizeBytes);
    const room = frameBytes - frame.rawBytes;
    if (total > room && (frame.rawBytes >= smallestFrameBytes || room < tarBlockBytes)) {
      yield frame;
      frame = emptyFrame(null);
    }
    addBytes(frame, encodeTarHeader(member));
    for (let offset = 0; offset < member.sizeBytes;) {
      const length = contentRoom(frame, member.sizeBytes, offset);
      if (length > 0) {
        frame.parts.push({ kind: 'file', path: member.source ?? '', offset, length });
        frame.members.push(member);
        frame.rawBytes += length;
        offset += length;
      }
      if (offset === member.sizeBytes) break;
      yield frame;
      frame = emptyFrame({ path: member.path, fileOffset: offset, fileBytes: member.sizeBytes });
    }
    addBytes(frame, Buffer.alloc(paddedBytes(member.sizeBytes) - member.sizeBytes));
  }
  if (frame.rawBytes > 0) yield frame;
}

/** How much of a file goes into this frame: all that is left with its padding, or up to an aligned offset. */
function contentRoom(frame: PlannedFrame, sizeBytes: number, offset: number): number {
  const room = frameBytes - frame.rawBytes;
  if (paddedBytes(sizeBytes) - offset <= room) return sizeBytes - offset;
  const end = offset + room;
  return Math.max(0, end - (end % insideAlignmentBytes) - offset);
}

function emptyFrame(inside: Frame['inside']): PlannedFrame {
  return { rawBytes: 0, inside, parts: [], members: [] };
}

function addBytes(frame: PlannedFrame, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  frame.parts.push({ kind: 'bytes', bytes });
  frame.rawBytes += bytes.length;
}
