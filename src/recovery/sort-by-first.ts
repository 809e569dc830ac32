import type { Position } from './position.ts';

const digits = 4;
const radix = 1 << 16;

/**
 * Rising by `first`; among equals the order is left as it comes. A list that rises already costs one pass, as
 * catalogs mostly do. Else a radix sort over the four 16-bit digits of a position: no comparison of bigints,
 * of which a million logs in no order would need twenty million.
 */
export function sortByFirst<Log extends { first: Position }>(logs: readonly Log[]): readonly Log[] {
  if (isRising(logs)) return logs;
  const positions = new BigUint64Array(logs.length);
  for (let index = 0; index < logs.length; index += 1) positions[index] = logs[index]!.first; // below the length
  // Lowest digit first: clona runs on x64 and arm64, both little-endian.
  const keys = new Uint16Array(positions.buffer);
  let order: Uint32Array = Uint32Array.from(logs.keys());
  for (let digit = 0; digit < digits; digit += 1) order = sortByDigit(keys, digit, order);
  return Array.from(order, (index) => logs[index]!); // an index of logs
}

/** One stable pass; a digit that all keys share costs only its counting. */
function sortByDigit(keys: Uint16Array, digit: number, order: Uint32Array): Uint32Array {
  const places = new Uint32Array(radix + 1);
  for (let at = digit; at < keys.length; at += digits) places[keys[at]! + 1]! += 1;
  if (places[keys[digit]! + 1] === order.length) return order;
  for (let value = 1; value < radix; value += 1) places[value]! += places[value - 1]!;
  const sorted = new Uint32Array(order.length);
  for (const index of order) {
    const value = keys[index * digits + digit]!;
    sorted[places[value]!] = index;
    places[value]! += 1;
  }
  return sorted;
}

function isRising(logs: readonly { first: Position }[]): boolean {
  for (let index = 1; index < logs.length; index += 1) {
    if (logs[index]!.first < logs[index - 1]!.first) return false; // both below the length
  }
  return true;
}
