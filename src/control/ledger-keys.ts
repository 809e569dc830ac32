import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  type KeyObject,
} from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ClonaError } from '../errors.ts';
import { quoteSh } from '../guest/quote.ts';
import { exportPublicKey } from './ledger-head.ts';

/**
 * The site's signing key: `ledger.key` in `folder` (mode 0600), made on first use, with `ledger.pub` beside it to
 * be pinned elsewhere. Two makers at once end with one key.
 */
export async function openLedgerKey(folder: string): Promise<KeyObject> {
  const path = join(folder, 'ledger.key');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!(await exists(path))) {
    const { privateKey } = generateKeyPairSync('ed25519');
    await writeOnce(path, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), 0o600);
  }
  const mode = (await stat(path)).mode & 0o077;
  if (mode !== 0) {
    throw new ClonaError('fileUnreadable', `others can read the signing key ${path}`, {
      hint: `chmod 600 ${quoteSh(path)}, and think about who may have copied it`,
    });
  }
  const key = createPrivateKey(await readFile(path));
  await writeOnce(
    join(folder, 'ledger.pub'),
    createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString(),
    0o644,
  );
  return key;
}

/** A public key to hold an export against: a PEM file (`ledger.pub`). Gives SPKI DER in base64. */
export async function readPinnedKey(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ClonaError('fileUnreadable', `the key file ${path} cannot be read`, { cause });
  }
  try {
    if (text.includes('PRIVATE KEY')) throw new Error('it is a private key');
    const key = createPublicKey(text);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('it is not an ed25519 key');
    return exportPublicKey(key);
  } catch (cause) {
    throw new ClonaError('usage', `${path} is not the public key of a ledger`, {
      cause,
      hint: 'give the file ledger.pub of the site',
    });
  }
}

/** Creates the file whole or not at all; a file that is there stays as it is. */
async function writeOnce(path: string, content: string, mode: number): Promise<void> {
  if (await exists(path)) return;
  const partial = join(dirname(path), `.${randomUUID()}.partial`);
  try {
    const file = await open(partial, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(partial, mode);
    await link(partial, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(partial, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
