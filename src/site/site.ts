import type { SiteSections } from './schema.ts';

/**
 * A site file as it was read: durations in milliseconds, sizes in bytes, percentages as numbers, paths absolute,
 * secrets as references for `resolveSecret`.
 */
export type Site = SiteSections & {
  /** The site file itself, absolute. */
  readonly file: string;
  /** Its folder, which relative paths count from. */
  readonly folder: string;
};
