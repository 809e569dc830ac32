/**
 * PostgreSQL's checksum of a data page (src/include/storage/checksum_impl.h): 32 parallel FNV-1a sums over the page with
 * its checksum field as zero, folded, mixed with the block number.
 */

// The seeds are part of the page format.
const seeds = Int32Array.of(
  0x5b1f36e9,
  0xb8525960,
  0x02ab50aa,
  0x1de66d2a,
  0x79ff467a,
  0x9bb9f8a3,
  0x217e7cd2,
  0x83e13d2c,
  0xf8d4474f,
  0xe39eb970,
  0x42c6ae16,
  0x993216fa,
  0x7b093b5d,
  0x98daff3c,
  0xf718902a,
  0x0b1c9cdb,
  0xe58f764b,
  0x187636bc,
  0x5d7b3bb1,
  0xe73de7de,
  0x92bec979,
  0xcca6c0b2,
  0x304a0979,
  0x85aa43d4,
  0x783125bb,
  0x6ca8eaa2,
  0xe407eac6,
  0x4b5cfc3e,
  0x9fbf8c76,
  0x15ca20be,
  0xf2ca9fd3,
  0x959bd756,
);
const prime = 16_777_619;
const lanes = 32;
const checksumWord = 2;

/**
 * `words`: the page as 32-bit numbers of the machine; `from`: index of its first word. The checksum field (the low half
 * of the third word) is taken as zero. Returns 1 to 65535.
 */
export function pageChecksum(
  words: Int32Array,
  from: number,
  pageBytes: number,
  blockNumber: number,
): number {
  const sums = seeds.slice();
  const end = from + pageBytes / 4;
  const held = words[from + checksumWord]!;
  // Every index below lies inside the page.
  words[from + checksumWord] = held & 0xffff_0000;
  for (let at = from; at < end; at += lanes) {
    for (let lane = 0; lane < lanes; lane += 1) {
      const mixed = sums[lane]! ^ words[at + lane]!;
      sums[lane] = Math.imul(mixed, prime) ^ (mixed >>> 17);
    }
  }
  words[from + checksumWord] = held;
  let folded = 0;
  for (let lane = 0; lane < lanes; lane += 1) {
    let sum = sums[lane]!;
    sum = Math.imul(sum, prime) ^ (sum >>> 17);
    sum = Math.imul(sum, prime) ^ (sum >>> 17);
    folded ^= sum;
  }
  return (((folded ^ blockNumber) >>> 0) % 65_535) + 1;
}

export type PageVerdict = 'good' | 'new' | 'later' | 'damaged' | 'torn-new';

/**
 * Judges one page of a backup as the server judges it while it backs up (basebackup.c): a page never written is not
 * checked; one written after the backup began is replaced by its image from the log; any other must match. A page
 * with an empty header and content below it is told apart: torn while it was first written, or damaged.
 */
export function judgePage(
  words: Int32Array,
  from: number,
  pageBytes: number,
  blockNumber: number,
  startPosition: bigint,
): PageVerdict {
  // pd_upper, the upper half of the fourth word: zero on a page that was never initialized.
  if (words[from + 3]! >>> 16 === 0) {
    for (let at = from; at < from + pageBytes / 4; at += 1) if (words[at] !== 0) return 'torn-new';
    return 'new';
  }
  const told = words[from + checksumWord]! & 0xffff;
  if (pageChecksum(words, from, pageBytes, blockNumber) === told) return 'good';
  const position = (BigInt(words[from]! >>> 0) << 32n) | BigInt(words[from + 1]! >>> 0);
  return position >= startPosition ? 'later' : 'damaged';
}
