import type { Position } from './position.ts';

/**
 * Rising by `first`; among equals the order is left as it comes. A list that rises already costs one pass, as
 * catalogs mostly do. Else position and index are packed into one 64-bit number each, which the engine sorts
 * natively: several times faster than a comparison of bigints per step, and a catalog may hold a million logs.
 */
export function sortByFirst<Log extends { first: Position }>(logs: readonly Log[]): readonly Log[] {
  if (isRising(logs)) return logs;
  let lowest = logs[0]!.first; // a list that does not rise is not empty
  let highest: bigint = lowest;
  for (const { first } of logs) {
    if (first < lowest) lowest = first;
    if (first > highest) highest = first;
  }
  const indexBits = BigInt(logs.length.toString(2).length);
  if ((highest - lowest) >> (64n - indexBits) !== 0n) return logs.toSorted(byFirst);
  const packed = BigUint64Array.from(
    logs,
    ({ first }, index) => ((first - lowest) << indexBits) | BigInt(index),
  );
  const indexMask = (1n << indexBits) - 1n;
  return Array.from(packed.sort(), (entry) => logs[Number(entry & indexMask)]!); // an index of logs
}

function byFirst(a: { first: Position }, b: { first: Position }): number {
  return a.first < b.first ? -1 : Number(a.first > b.first);
}

function isRising(logs: readonly { first: Position }[]): boolean {
  for (let index = 1; index < logs.length; index += 1) {
    if (logs[index]!.first < logs[index - 1]!.first) return false; // both below the length
  }
  return true;
}
