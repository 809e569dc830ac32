import { access, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../archive/durable-file.ts';
import { replaceFile } from './files.ts';
import { formatHead, parseHead, type SignedHead } from './ledger-head.ts';

export interface HeadCopy {
  path: string;
  /** Written only where this file is: an empty mount point is not the archive's disk, a new archive wants its folder empty. */
  beside: string | null;
}

export interface CopiedChain {
  /** Signed now. */
  head: () => Promise<SignedHead>;
  /** Hash of one record; null: the chain does not reach so far. */
  hashAt: (sequence: number) => Promise<string | null>;
}

/**
 * Writes the head where it outlives this host (R22), and never over a witness against us: a head of this ledger that the chain
 * no longer bears stays, and of another ledger (a site that begins anew, a second site on the archive) the last head is
 * put aside as `head-<ledger>.json`. Returns why it was not written; null: it was. A failure stops no work.
 */
export async function copyHeadTo({ path, beside }: HeadCopy, chain: CopiedChain): Promise<string | null> {
  try {
    if (beside !== null) await access(beside);
    await mkdir(dirname(path), { recursive: true });
    const there = await readHead(path);
    const own = await chain.head();
    if (there !== null && there.head.ledger !== own.head.ledger) {
      await replaceFile(asidePath(path, there), `${formatHead(there)}\n`, 0o644);
    } else if (there !== null && (await chain.hashAt(there.head.sequence)) !== there.head.hash) {
      return `it is signed over record ${there.head.sequence} of this ledger, which is no longer there: records were cut off or written anew; the control database is older than the archive, or was changed`;
    }
    await replaceFile(path, `${formatHead(own)}\n`, 0o644);
    return null;
  } catch (error) {
    return explain(error, beside);
  }
}

/** What is no head is no witness: null. */
async function readHead(path: string): Promise<SignedHead | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  const found = text === null ? null : parseHead(text.replace(/\n$/, ''));
  return found === null || typeof found === 'string' ? null : found;
}

function asidePath(path: string, { head }: SignedHead): string {
  return join(dirname(path), `head-${head.ledger.replaceAll(/[^A-Za-z0-9-]/g, '_').slice(0, 64)}.json`);
}

function explain(error: unknown, beside: string | null): string {
  if (beside !== null && errorCode(error) === 'ENOENT') {
    return `no archive is at ${dirname(beside)}: is its disk mounted? (the first backup makes a new archive)`;
  }
  return error instanceof Error ? error.message : String(error);
}
