import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { isHash, isTime } from './ledger-record.ts';

/** How long the chain is and how it ends, signed: a chain that was cut or rewritten does not fit it (R22). */
export interface LedgerHead {
  format: 'clona-evidence-head/1';
  /** The ledger's id, born with its first record. */
  ledger: string;
  sequence: number;
  hash: string;
  time: string;
  /** Ed25519 public key, SPKI DER in base64. */
  publicKey: string;
}

export interface SignedHead {
  head: LedgerHead;
  /** Ed25519 over the canonical JSON of `head`, base64. */
  signature: string;
}

export function signHead(head: LedgerHead, privateKey: KeyObject): SignedHead {
  return { head, signature: sign(null, Buffer.from(canonicalJson(head)), privateKey).toString('base64') };
}

/** One line without its line feed, as it stands in an export and in a head file. */
export function formatHead(signed: SignedHead): string {
  return canonicalJson(signed);
}

const headFields = ['format', 'hash', 'ledger', 'publicKey', 'sequence', 'time'];

/** Reads a head line, to the byte, and checks its signature against the key it names; a string says what is wrong. */
export function parseHead(line: string): SignedHead | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
    if (canonicalJson(value) !== line) return 'is not written in canonical JSON';
  } catch {
    return 'is not JSON';
  }
  if (!isSignedHead(value)) return 'has not the fields of a signed head';
  const publicKey = readPublicKey(value.head.publicKey);
  const signature = Buffer.from(value.signature, 'base64');
  if (publicKey === null || signature.toString('base64') !== value.signature) return 'names no usable key';
  if (!verify(null, Buffer.from(canonicalJson(value.head)), publicKey, signature)) {
    return 'is not signed by the key it names';
  }
  return value;
}

function isSignedHead(value: unknown): value is SignedHead {
  if (typeof value !== 'object' || value === null) return false;
  if (Object.keys(value).sort().join() !== 'head,signature') return false;
  const { head, signature } = value as Record<string, unknown>;
  if (typeof signature !== 'string' || typeof head !== 'object' || head === null) return false;
  if (Object.keys(head).sort().join() !== headFields.join()) return false;
  const { format, ledger, sequence, hash, time, publicKey } = head as Record<string, unknown>;
  return (
    format === 'clona-evidence-head/1' &&
    typeof ledger === 'string' &&
    ledger !== '' &&
    typeof publicKey === 'string' &&
    Number.isSafeInteger(sequence) &&
    Number(sequence) > 0 &&
    isHash(hash) &&
    isTime(time)
  );
}

function readPublicKey(base64: string): KeyObject | null {
  try {
    const der = Buffer.from(base64, 'base64');
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    // Only the one spelling of an ed25519 key: DER and base64 leave no room for a second one.
    const isExact = exportPublicKey(key) === base64;
    return key.asymmetricKeyType === 'ed25519' && isExact ? key : null;
  } catch {
    return null;
  }
}

/** SPKI DER in base64, from a public key or from the private one. */
export function exportPublicKey(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
}

/** `SHA256:…` of a public key, for people to compare. */
export function fingerprintKey(publicKey: string): string {
  const digest = createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}
