/** Compares decimal texts exactly: money must not be rounded into agreement. */
export function compareNumbers(a: string, b: string): number {
  if (/[eE]/.test(a + b)) return Math.sign(Number(a) - Number(b));
  const places = Math.max(decimals(a), decimals(b));
  const [left, right] = [scaled(a, places), scaled(b, places)];
  return left < right ? -1 : Number(left > right);
}

function decimals(text: string): number {
  const at = text.indexOf('.');
  return at < 0 ? 0 : text.length - at - 1;
}

function scaled(text: string, places: number): bigint {
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.');
  const value = BigInt(whole + fraction.padEnd(places, '0'));
  return text.startsWith('-') ? -value : value;
}
