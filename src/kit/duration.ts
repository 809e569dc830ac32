const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of "90s", "5m", "1h", "250ms" or a number of seconds; undefined for anything else and for zero. */
export function parseTimeout(value: string | number): number | undefined {
  const [, digits, unit] =
    /^(\d{1,9})\s*(ms|s|m|h)$/.exec(typeof value === 'number' ? `${value}s` : value.trim()) ?? [];
  const ms = Number(digits) * (unitMs[unit ?? ''] ?? Number.NaN);
  return ms > 0 ? ms : undefined;
}
