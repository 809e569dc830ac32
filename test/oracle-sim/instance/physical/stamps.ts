/** Oracle's STAMP of a time: seconds since 1988 in months of 31 days. The clock is the host's wall clock. */
export function stampOf(milliseconds: number): number {
  const date = new Date(milliseconds);
  const months = (date.getUTCFullYear() - 1988) * 12 + date.getUTCMonth();
  const days = months * 31 + date.getUTCDate() - 1;
  return ((days * 24 + date.getUTCHours()) * 60 + date.getUTCMinutes()) * 60 + date.getUTCSeconds();
}
