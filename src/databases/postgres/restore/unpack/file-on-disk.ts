import { join } from 'node:path';
import { combineCrc32c } from '../../../../archive/crc32c-combine.ts';
import { formatCrc32c } from '../../../../archive/crc32c.ts';
import type { ManifestFile } from '../../manifest.ts';
import type { UnpackPool } from './unpack-pool.ts';

/** So much of a file is one thread's: a segment of 1 GiB then keeps all of them busy. */
const rangeBytes = 32 * 2 ** 20;

/** Whether a file lies on disk as the manifest has it. One without a checksum there is never taken as it is. */
export async function isOnDisk(
  pool: UnpackPool,
  root: string,
  path: string,
  { sizeBytes, checksum }: Pick<ManifestFile, 'sizeBytes' | 'checksum'>,
): Promise<boolean> {
  if (checksum === null) return false;
  const { algorithm, hex } = checksum;
  const sum = async (offset: number, bytes: number): Promise<string | null> => {
    const job = {
      kind: 'checksum',
      path: join(root, path),
      sizeBytes,
      algorithm,
      range: { offset, bytes },
    } as const;
    return (await pool.run(job)).hex;
  };
  if (algorithm !== 'CRC32C' || sizeBytes <= rangeBytes) return (await sum(0, sizeBytes)) === hex;
  const offsets = Array.from({ length: Math.ceil(sizeBytes / rangeBytes) }, (_, range) => range * rangeBytes);
  const lengths = offsets.map((offset) => Math.min(rangeBytes, sizeBytes - offset));
  const sums = await Promise.all(offsets.map(async (offset, range) => sum(offset, lengths[range] ?? 0)));
  let joined = 0;
  for (const [range, found] of sums.entries()) {
    if (found === null) return false;
    joined = combineCrc32c(joined, readCrc32c(found), lengths[range] ?? 0);
  }
  return formatCrc32c(joined) === hex;
}

/** The other way round of formatCrc32c. */
function readCrc32c(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE();
}
