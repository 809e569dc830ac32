/** What a kit may cost at most. A vendor's kit holds programs and SQL, not data: past these it is a bomb or a mistake. */
export interface KitLimits {
  /** Bytes of the archive as fetched. */
  downloadBytes: number;
  /** Bytes of all files together, unpacked. */
  unpackedBytes: number;
  entries: number;
  /** Folders below each other. */
  depth: number;
}

export const defaultKitLimits: KitLimits = {
  downloadBytes: 4 * 2 ** 30,
  unpackedBytes: 8 * 2 ** 30,
  entries: 50_000,
  depth: 64,
};
