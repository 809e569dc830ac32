import { createCipheriv, createDecipheriv, createHash, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Account, Identity, Privilege } from './backend.ts';
import { messageType } from './messages.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** The 12c verifier (ORACLE-WIRE: Authentication). */
const verifierFlag = 0x4815;
const generations = 4096;
const derivations = 3;
/** How one asks to log on with an administrative privilege. */
const privilegeModes = { SYSDBA: 0x20, SYSOPER: 0x40, SYSBACKUP: 0x0100_0000 } as const;
const passwordMode = 0x100;

export interface AuthRequest {
  user: string;
  privilege: Privilege | null;
  withPassword: boolean;
  pairs: Map<string, string>;
}

export function readAuth(reader: Reader): AuthRequest {
  reader.u8();
  const userLength = reader.ub();
  const mode = reader.ub();
  reader.u8();
  const count = reader.ub();
  reader.take(2);
  const user = userLength > 0 ? reader.text() : '';
  const pairs = new Map<string, string>();
  for (let left = count; left > 0; left -= 1) {
    const { key, value } = reader.keyValue();
    pairs.set(key, value);
  }
  const asked = Object.entries(privilegeModes).find(([, bit]) => (mode & bit) !== 0)?.[0];
  const privilege = (asked as Privilege | undefined) ?? null;
  return { user, privilege, withPassword: (mode & passwordMode) !== 0, pairs };
}

export interface Challenge {
  hash: Buffer;
  serverKey: Buffer;
  mixingSalt: Buffer;
}

/** Phase one: half of a session key, under the hash of the password. Unknown users get one as well. */
export function writeChallenge(writer: Writer, account: Account | null): Challenge {
  const salt = randomBytes(16);
  const password = account?.password ?? randomBytes(16).toString('hex');
  const speedySalt = Buffer.concat([salt, Buffer.from('AUTH_PBKDF2_SPEEDY_KEY')]);
  const key = pbkdf2Sync(password, speedySalt, generations, 64, 'sha512');
  const hash = createHash('sha512').update(key).update(salt).digest().subarray(0, 32);
  const serverKey = randomBytes(32);
  const mixingSalt = randomBytes(16);
  writePairs(writer, [
    ['AUTH_SESSKEY', hex(encrypt(hash, serverKey)), 0],
    ['AUTH_VFR_DATA', hex(salt), verifierFlag],
    ['AUTH_PBKDF2_CSK_SALT', hex(mixingSalt), 0],
    ['AUTH_PBKDF2_VGEN_COUNT', String(generations), 0],
    ['AUTH_PBKDF2_SDER_COUNT', String(derivations), 0],
  ]);
  return { hash, serverKey, mixingSalt };
}

/** Phase two: the shared key when the password is right, else null. */
export function checkPassword(
  { hash, serverKey, mixingSalt }: Challenge,
  account: Account | null,
  pairs: ReadonlyMap<string, string>,
): Buffer | null {
  const clientKey = decrypt(hash, Buffer.from(pairs.get('AUTH_SESSKEY') ?? '', 'hex'));
  const both = hex(Buffer.concat([clientKey, serverKey]));
  const shared = pbkdf2Sync(both, mixingSalt, derivations, 32, 'sha512');
  const sent = decrypt(shared, Buffer.from(pairs.get('AUTH_PASSWORD') ?? '', 'hex'));
  if (account === null || sent.length < 32) return null;
  const padding = sent.at(-1) ?? 0;
  const password = sent.subarray(16, sent.length - padding).toString('utf8');
  return password === account.password ? shared : null;
}

export function writeWelcome(
  writer: Writer,
  shared: Buffer,
  identity: Identity,
  session: { id: number; serial: number },
): void {
  const proof = encrypt(shared, Buffer.concat([randomBytes(16), Buffer.from('SERVER_TO_CLIENT')]));
  const [major, release, update] = identity.version;
  const pairs: [string, string][] = [
    ['AUTH_VERSION_STRING', '- Production'],
    ['AUTH_VERSION_NO', String(((major << 24) | (release << 16) | (update << 12)) >>> 0)],
    ['AUTH_SESSION_ID', String(session.id)],
    ['AUTH_SERIAL_NUM', String(session.serial)],
    ['AUTH_INSTANCENAME', identity.instanceName],
    ['AUTH_DBNAME', identity.databaseName],
    ['AUTH_SC_DB_DOMAIN', identity.domain],
    ['AUTH_SC_DBUNIQUE_NAME', identity.databaseName],
    ['AUTH_SC_REAL_DBUNIQUE_NAME', identity.uniqueName],
    ['AUTH_SC_SERVICE_NAME', identity.serviceName],
    ['AUTH_MAX_OPEN_CURSORS', '300'],
    ['AUTH_MAX_IDEN_LENGTH', '128'],
    ['AUTH_SVR_RESPONSE', hex(proof)],
  ];
  writePairs(
    writer,
    pairs.map(([key, value]) => [key, value, 0]),
  );
}

function writePairs(writer: Writer, pairs: [string, string, number][]): void {
  writer.u8(messageType.parameter).ub(pairs.length);
  for (const [key, value, flags] of pairs) writer.countedText(key).countedText(value).ub(flags);
}

function cipherOf(key: Buffer): string {
  return key.length === 24 ? 'aes-192-cbc' : 'aes-256-cbc';
}

function encrypt(key: Buffer, bytes: Buffer): Buffer {
  const cipher = createCipheriv(cipherOf(key), key, Buffer.alloc(16)).setAutoPadding(false);
  return Buffer.concat([cipher.update(bytes), cipher.final()]);
}

function decrypt(key: Buffer, bytes: Buffer): Buffer {
  const whole = bytes.subarray(0, bytes.length - (bytes.length % 16));
  const decipher = createDecipheriv(cipherOf(key), key, Buffer.alloc(16)).setAutoPadding(false);
  return Buffer.concat([decipher.update(whole), decipher.final()]);
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}
