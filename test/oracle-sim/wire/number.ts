/** Oracle's NUMBER: base 100, an exponent byte of excess 193 (ORACLE-WIRE: Data). */
export function encodeNumber(value: bigint | number): Buffer {
  if (typeof value === 'bigint' && value > 0n) return encodePositive(value.toString());
  const text = typeof value === 'bigint' ? value.toString() : plainDecimal(value);
  const negative = text.startsWith('-');
  const [whole = '', fraction = ''] = (negative ? text.slice(1) : text).split('.');
  const evenWhole = whole.length % 2 === 1 ? `0${whole}` : whole;
  const evenFraction = fraction.length % 2 === 1 ? `${fraction}0` : fraction;
  const pairs = `${evenWhole}${evenFraction}`.match(/../g)?.map(Number) ?? [];
  let exponent = evenWhole.length / 2;
  while (pairs[0] === 0) {
    pairs.shift();
    exponent -= 1;
  }
  while (pairs.at(-1) === 0) pairs.pop();
  if (pairs.length === 0) return Buffer.from([0x80]);
  if (!negative) return Buffer.from([192 + exponent, ...pairs.map((pair) => pair + 1)]);
  const tail = pairs.length < 20 ? [102] : [];
  return Buffer.from([(192 + exponent) ^ 255, ...pairs.map((pair) => 101 - pair), ...tail]);
}

/** Positions and sequences by the hundred thousand: digits in pairs, without the zeros at the end. */
function encodePositive(digits: string): Buffer {
  const odd = digits.length % 2;
  const pairs = (digits.length + odd) / 2;
  const bytes = Buffer.allocUnsafe(pairs + 1);
  let last = 0;
  bytes[0] = 192 + pairs;
  for (let pair = 0; pair < pairs; pair += 1) {
    const at = pair * 2 - odd;
    const digit = (at < 0 ? 0 : digits.charCodeAt(at) - 48) * 10 + digits.charCodeAt(at + 1) - 48;
    bytes[pair + 1] = digit + 1;
    if (digit !== 0) last = pair + 1;
  }
  return bytes.subarray(0, last + 1);
}

function plainDecimal(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`${value} is no NUMBER`);
  const text = String(value);
  return text.includes('e') ? value.toFixed(20).replace(/\.?0+$/, '') : text;
}

/** The text of a NUMBER as it came, and from it a bigint when it is whole. */
export function decodeNumber(bytes: Buffer): bigint | number {
  if (bytes.length === 1) return bytes[0] === 0x80 ? 0n : Number.NaN;
  const positive = (bytes[0]! & 0x80) !== 0;
  const exponent = (positive ? bytes[0]! : bytes[0]! ^ 255) - 192;
  const digits = [...bytes.subarray(1)].filter(
    (byte, at, all) => positive || byte !== 102 || at < all.length - 1,
  );
  const pairs = digits.map((digit) => String(positive ? digit - 1 : 101 - digit).padStart(2, '0'));
  const sign = positive ? '' : '-';
  if (exponent >= pairs.length)
    return BigInt(`${sign}${pairs.join('').padEnd(exponent * 2, '0')}`.replace(/^-?0+(?=\d)/, sign));
  const all = '00'.repeat(Math.max(0, -exponent)) + pairs.join('');
  const point = Math.max(0, exponent) * 2;
  return Number(`${sign}${all.slice(0, point) || '0'}.${all.slice(point)}`);
}
