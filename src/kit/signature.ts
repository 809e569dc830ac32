import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';
import { signatureFile } from './hash.ts';

/**
 * What a vendor signs: these bytes, without a newline. The prefix keeps a signature made for a kit from being
 * used for anything else.
 */
export function signedText(hash: string): Buffer {
  return Buffer.from(`clona-kit sha256:${hash}`);
}

/** Checks the detached ed25519 signature in `kit.sig` (64 bytes, raw or base64) against the vendor's key (PEM). */
export async function checkSignature(directory: string, hash: string, publicKeyPem: string): Promise<void> {
  const key = readPublicKey(publicKeyPem);
  const signature = await readSignature(directory);
  if (!verify(null, signedText(hash), key, signature)) {
    throw new ClonaError(
      'kitUntrusted',
      "the signature of the kit does not fit its content and the site's public key",
      {
        hint: 'do not install it; ask the vendor which key signs its kits',
      },
    );
  }
}

function readPublicKey(pem: string): KeyObject {
  const wrong = (cause?: unknown): ClonaError =>
    new ClonaError('usage', 'the public key for kits is not an ed25519 key in PEM', {
      cause,
      hint: 'make one with: openssl genpkey -algorithm ed25519, and give its public half (openssl pkey -pubout)',
    });
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw wrong(cause);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw wrong();
  return key;
}

async function readSignature(directory: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(join(directory, signatureFile));
  } catch (cause) {
    throw new ClonaError('kitUntrusted', 'the kit is not signed, and the site wants signed kits', {
      cause,
      hint: `a signed kit holds ${signatureFile} beside kit.yaml`,
    });
  }
  if (bytes.length === 64) return bytes;
  const decoded = Buffer.from(bytes.toString('latin1').trim(), 'base64');
  if (decoded.length === 64) return decoded;
  throw new ClonaError('kitUntrusted', `${signatureFile} holds no ed25519 signature`);
}
