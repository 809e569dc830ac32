import { ClonaError } from '../errors.ts';

const durationMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const sizeBytes: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

export const durationPattern = /^(?:\d+(?:\.\d+)?[smhdw])+$/;
export const sizePattern = /^\d+(?:\.\d+)? ?(?:B|[kKMGT]B|[KMGT]iB)$/;

/** `90s`, `15m`, `26h`, `7d`, `2w`, or parts together (`1h30m`), as milliseconds. Throws `usage`. */
export function parseDuration(text: string): number {
  if (!durationPattern.test(text)) {
    throw new ClonaError('usage', `"${text}" is not a duration`, {
      hint: 'write 90s, 15m, 26h, 7d or 1h30m',
    });
  }
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)([smhdw])/g)) {
    total += Number(amount) * (durationMs[unit ?? ''] ?? Number.NaN);
  }
  return Math.round(total);
}

/** `512MB`, `20GB`, `1.5TB` (powers of 1000) or `20GiB` (powers of 1024), as bytes. Throws `usage`. */
export function parseSize(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([kKMGT]?i?B)$/.exec(text) ?? [];
  const factor = sizeBytes[unit ?? ''];
  if (factor === undefined) {
    throw new ClonaError('usage', `"${text}" is not a size`, { hint: 'write 512MB, 20GB, 20GiB or 1.5TB' });
  }
  return Math.round(Number(amount) * factor);
}

/** A duration as people read it: `3 h 10 min`, `45 s`, `0.4 s`; never more than two parts. */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${Number((ms / 1000).toFixed(1))} s`;
  const parts: [number, string][] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
  ];
  let rest = Math.round(ms / 1000) * 1000;
  const shown: string[] = [];
  for (const [size, name] of parts) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) shown.push(`${count} ${name}`);
    else if (shown.length > 0) break;
    if (shown.length === 2) break;
  }
  return shown.join(' ');
}

/** A size as people read it, in powers of 1000: `20 GB`, `1.5 TB`. */
export function formatSize(bytes: number): string {
  const units: [number, string][] = [
    [1e12, 'TB'],
    [1e9, 'GB'],
    [1e6, 'MB'],
    [1e3, 'kB'],
  ];
  for (const [size, name] of units) {
    if (bytes >= size) return `${Number((bytes / size).toFixed(bytes < 10 * size ? 1 : 0))} ${name}`;
  }
  return `${bytes} B`;
}
