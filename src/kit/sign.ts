import { createPrivateKey, sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';
import { hashKit, signatureFile, type KitHash } from './hash.ts';
import { signedText } from './signature.ts';

/** Writes kit.sig with the vendor's ed25519 key (PEM file); the hash stays what it was. */
export async function signKit(directory: string, keyFile: string, signal: AbortSignal): Promise<KitHash> {
  const hashed = await hashKit(directory, signal);
  let pem: string;
  try {
    pem = await readFile(keyFile, 'utf8');
  } catch (cause) {
    throw new ClonaError('fileUnreadable', `cannot read the private key ${keyFile}`, { cause });
  }
  const key = readPrivateKey(pem, keyFile);
  await writeFile(
    join(directory, signatureFile),
    `${sign(null, signedText(hashed.hash), key).toString('base64')}\n`,
  );
  return hashed;
}

function readPrivateKey(pem: string, keyFile: string): ReturnType<typeof createPrivateKey> {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // The cause may quote the key: it is not handed on.
  }
  throw new ClonaError('usage', `${keyFile} is not an ed25519 private key in PEM`, {
    hint: 'make one with: openssl genpkey -algorithm ed25519 -out kit-key.pem',
  });
}
