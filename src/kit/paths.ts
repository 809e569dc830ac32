import { ClonaError } from '../errors.ts';

const longestPathBytes = 1024;
const longestNameBytes = 255;

/**
 * Checks a path as an archive or a folder names it and gives it back in the one form that is hashed: relative,
 * "/" between the parts, no "." and no empty part. What could leave the kit, or mean another file on another
 * platform, is refused with `kitInvalid`.
 */
export function checkEntryPath(raw: string, depthLimit: number): string {
  const refuse = (why: string): ClonaError =>
    new ClonaError('kitInvalid', `the kit holds a path that ${why}: ${JSON.stringify(raw.slice(0, 200))}`, {
      hint: 'ask the vendor for a kit whose paths are relative and stay inside it',
      details: { path: raw.slice(0, 200) },
    });
  // \uFFFD is what decoding puts in place of bytes that are no UTF-8: two such names could become one.
  if (raw.includes('\uFFFD') || /[\uD800-\uDFFF]/u.test(raw)) throw refuse('is not valid UTF-8');
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for
  if (/[\u0000-\u001F\u007F]/.test(raw)) throw refuse('has a control character');
  if (raw.includes('\\')) throw refuse('has a backslash, which is a separator on Windows');
  if (raw.startsWith('/') || /^[A-Za-z]:/.test(raw)) throw refuse('is absolute');
  const parts = raw.split('/').filter((part) => part !== '.' && part !== '');
  if (parts.includes('..')) throw refuse('leads out of it');
  if (parts.length > depthLimit + 1) throw refuse(`is deeper than ${depthLimit} folders`);
  if (parts.some((part) => Buffer.byteLength(part) > longestNameBytes)) {
    throw refuse(`has a name longer than ${longestNameBytes} bytes`);
  }
  const path = parts.join('/');
  if (Buffer.byteLength(path) > longestPathBytes) throw refuse(`is longer than ${longestPathBytes} bytes`);
  return path;
}

/** Byte order of the UTF-8 form: the same on every platform and under every locale. */
export function compareUtf8(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
