import { crc32c } from '../../../../archive/crc32c.ts';
import { decodeTarHeader, paddedBytes, tarBlockBytes } from '../../../../archive/tar-header.ts';
import { ClonaError } from '../../../../errors.ts';
import { controlFile, type FrameJob, type ReadFrameJob, type UnpackedFrame } from './unpack-job.ts';

/** Takes one piece of a file and gives its CRC-32C back: whoever handles the bytes also sums them, while they are in the cache. */
export type TakePart = (path: string, fileBytes: number, offset: number, content: Buffer) => number;

/**
 * Walks over the members and pieces of members in a frame. `keep` is told which bytes of the frame are of files and
 * folders that may lie on another host as they are.
 */
export function walkFrame(
  job: FrameJob | ReadFrameJob,
  raw: Buffer,
  take: TakePart,
  keep: (from: number, to: number) => void,
): UnpackedFrame {
  const done: UnpackedFrame = { parts: [], folders: [], links: [], writtenBytes: 0 };
  const takePart = (name: string, fileBytes: number, offset: number, content: Buffer): string => {
    const path = memberPath(job.prefix, name);
    const sum = take(path, fileBytes, offset, content);
    done.parts.push({ path, fileBytes, offset, bytes: content.length, crc32c: sum });
    return path;
  };
  const { inside } = job.frame;
  let at = 0;
  if (inside !== null) {
    const bytes = Math.max(0, Math.min(inside.fileBytes - inside.fileOffset, raw.length));
    const path = takePart(inside.path, inside.fileBytes, inside.fileOffset, raw.subarray(0, bytes));
    at = Math.min(raw.length, paddedBytes(inside.fileBytes) - inside.fileOffset);
    if (path !== controlFile) keep(0, at);
  }
  while (at + tarBlockBytes <= raw.length) {
    const from = at;
    const member = decodeTarHeader(raw.subarray(at, at + tarBlockBytes), job.source);
    at += tarBlockBytes;
    if (member === undefined) continue;
    if (member.type === 'link') done.links.push(memberPath(job.prefix, member.path));
    else if (member.type === 'folder') {
      const isTop = /^(?:\.\/?)?$/.test(member.path);
      if (!isTop) done.folders.push(memberPath(job.prefix, member.path));
      keep(from, at);
    } else {
      const bytes = Math.min(member.sizeBytes, raw.length - at);
      const path = takePart(member.path, member.sizeBytes, 0, raw.subarray(at, at + bytes));
      at = Math.min(raw.length, at + paddedBytes(member.sizeBytes));
      if (path !== controlFile) keep(from, at);
    }
  }
  return done;
}

/** So much is summed and written at a time: what was read for the one is still in the processor's cache for the other. */
const stepBytes = 512 * 2 ** 10;

/** CRC-32C of `content`; each step of it is handed to `use` as soon as it is summed. */
export function sumInSteps(content: Buffer, use: (step: Buffer, at: number) => void = () => {}): number {
  let sum = 0;
  for (let at = 0; at < content.length || at === 0; at += stepBytes) {
    const step = content.subarray(at, at + stepBytes);
    sum = crc32c(step, sum);
    use(step, at);
  }
  return sum;
}

/** A member never leaves the folder it is unpacked into. The server writes some names with ./ in front. */
function memberPath(prefix: string, name: string): string {
  const path = prefix + name.replace(/^(?:\.\/)+/, '');
  const parts = path.split('/');
  if (
    name === '' ||
    parts.some((part) => part === '' || part === '.' || part === '..') ||
    /[\0\uFFFD]/.test(path)
  ) {
    throw new ClonaError('archiveDamaged', `a member is named ${JSON.stringify(path.slice(0, 80))}`);
  }
  return path;
}
