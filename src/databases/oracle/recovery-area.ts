import type { DatabaseAddress } from '../database.ts';
import { connectOracle } from './connect.ts';
import type { RowOf } from './control-file.ts';
import { readView } from './read-control-file.ts';

/** The recovery area as an area of the zones (R12); null: there is none. */
export async function measureRecoveryArea(
  address: DatabaseAddress,
  signal: AbortSignal,
): Promise<{ totalBytes: number; usedBytes: number } | null> {
  await using session = await connectOracle(address, signal, { module: 'clona zone', timeoutMs: 5000 });
  return judgeRecoveryArea(await readView(session, 'recoveryArea'));
}

/** What the server throws away by itself when it needs room is no load: 99 % used can be 99 % reclaimable. */
export function judgeRecoveryArea(
  rows: readonly RowOf<'recoveryArea'>[],
): { totalBytes: number; usedBytes: number } | null {
  const [area] = rows;
  const totalBytes = Number(area?.limit ?? 0);
  if (area === undefined || totalBytes === 0) return null;
  return { totalBytes, usedBytes: Math.max(0, Number(area.used ?? 0) - Number(area.reclaimable ?? 0)) };
}
