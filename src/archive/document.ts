import { createHash } from 'node:crypto';
import type { ZodType } from 'zod';
import { ClonaError } from '../errors.ts';
import { archiveError, errorCode } from './durable-file.ts';
import { largestDocumentBytes, readRegular } from './regular-file.ts';

/**
 * The archive's JSON files carry a SHA-256 of their own text as their last line, as backup_manifest does: a flipped
 * digit in a position would otherwise be believed. Any JSON reader can read them.
 */
export function encodeDocument(value: object): string {
  const before = `${JSON.stringify(value).slice(0, -1)},\n`;
  return `${before}"checksum":"${sha256(before)}"}\n`;
}

const lastLine = /"checksum":"([0-9a-f]{64})"\}\n$/;

/** The other way round. Throws `archiveDamaged` naming `where` for a text that is cut, changed or of another shape. */
export function decodeDocument<Value>(text: string, schema: ZodType<Value>, where: string): Value {
  const found = lastLine.exec(text);
  if (found === null) throw damaged(where, 'is cut off or was not written by clona');
  if (sha256(text.slice(0, found.index)) !== found[1])
    throw damaged(where, 'does not match its own checksum');
  const parsed = schema.safeParse(parseJson(text, where));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw damaged(where, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is of another shape'}`);
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(where, 'is not JSON');
  }
}

/** Undefined where there is no such file. */
export async function readDocument<Value>(path: string, schema: ZodType<Value>): Promise<Value | undefined> {
  let text: string;
  try {
    text = (await readRegular(path, { maxBytes: largestDocumentBytes })).toString('utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw archiveError(error, path);
  }
  return decodeDocument(text, schema, path);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function damaged(where: string, what: string): ClonaError {
  return new ClonaError('archiveDamaged', `${where} ${what}`, {
    hint: where.endsWith('clona-archive.json')
      ? 'name the mirror, or make it again of what lies in the archive: clona catalog --archive DIR --repair --yes'
      : 'the mirror or another copy may hold it whole; without it the backup is not used',
    details: { file: where },
  });
}
