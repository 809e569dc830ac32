/** A linear map over 32 bits: column k is the image of bit k. */
type BitMatrix = Uint32Array;

/**
 * The CRC-32C of two ranges one after the other, from their own checksums and the second one's length: so that ranges of
 * a file can be summed by different threads. Method of zlib's crc32_combine.
 */
export function combineCrc32c(first: number, second: number, secondBytes: number): number {
  let crc = first >>> 0;
  for (let power = 0, left = secondBytes; left > 0; power += 1, left = Math.floor(left / 2)) {
    if (left % 2 === 1) crc = apply(zeroBytesMatrix(power), crc);
  }
  return (crc ^ second) >>> 0;
}

/** By power of two; squared once and kept, since a large file has hundreds of ranges. */
const matrices: BitMatrix[] = [];

/** What 2^power further zero bytes do to the register. */
function zeroBytesMatrix(power: number): BitMatrix {
  const known = matrices[power];
  if (known !== undefined) return known;
  const made = power === 0 ? zeroByteMatrix() : square(zeroBytesMatrix(power - 1));
  matrices[power] = made;
  return made;
}

const reversedPolynomial = 0x82f6_3b78;

/** What one further zero byte does to the register. */
function zeroByteMatrix(): BitMatrix {
  let matrix: BitMatrix = new Uint32Array(32);
  matrix[0] = reversedPolynomial;
  for (let bit = 1; bit < 32; bit += 1) matrix[bit] = 1 << (bit - 1);
  for (let doubling = 0; doubling < 3; doubling += 1) matrix = square(matrix);
  return matrix;
}

function square(matrix: BitMatrix): BitMatrix {
  return matrix.map((column) => apply(matrix, column));
}

function apply(matrix: BitMatrix, vector: number): number {
  let result = 0;
  for (let bit = 0, rest = vector >>> 0; rest !== 0; bit += 1, rest >>>= 1) {
    if (rest & 1) result ^= matrix[bit] ?? 0;
  }
  return result >>> 0;
}
