import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { ClonaError } from '../../../errors.ts';

/** SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677; the manual's "SASL Authentication"). */
export interface ScramExchange {
  /** The first message to the server. */
  first: string;
  /** The second one, made of the server's answer to the first. */
  answer: (serverFirst: string) => string;
  /** Throws where the server does not know the password either. */
  verify: (serverFinal: string) => void;
}

export function startScram(
  password: string,
  nonce: string = randomBytes(18).toString('base64'),
): ScramExchange {
  const firstBare = `n=,r=${nonce}`;
  let serverSignature: Buffer | undefined;
  return {
    first: `n,,${firstBare}`,
    answer: (serverFirst) => {
      const fields = parseFields(serverFirst);
      const [serverNonce, salt, rounds] = [fields.get('r'), fields.get('s'), Number(fields.get('i'))];
      if (serverNonce === undefined || !serverNonce.startsWith(nonce) || serverNonce === nonce) {
        throw refused('its nonce is not built on ours');
      }
      if (salt === undefined || !Number.isSafeInteger(rounds) || rounds < 1 || rounds > 10_000_000) {
        throw refused('its salt or number of rounds is missing');
      }
      const salted = pbkdf2Sync(
        password.normalize('NFKC'),
        Buffer.from(salt, 'base64'),
        rounds,
        32,
        'sha256',
      );
      const clientKey = hmac(salted, 'Client Key');
      const withoutProof = `c=biws,r=${serverNonce}`;
      const signed = `${firstBare},${serverFirst},${withoutProof}`;
      const signature = hmac(createHash('sha256').update(clientKey).digest(), signed);
      serverSignature = hmac(hmac(salted, 'Server Key'), signed);
      return `${withoutProof},p=${Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))).toString('base64')}`;
    },
    verify: (serverFinal) => {
      const told = Buffer.from(parseFields(serverFinal).get('v') ?? '', 'base64');
      if (
        serverSignature === undefined ||
        told.length !== serverSignature.length ||
        !timingSafeEqual(told, serverSignature)
      ) {
        throw refused('it does not know the password itself');
      }
    },
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function parseFields(text: string): Map<string, string> {
  return new Map(text.split(',').map((field) => [field.slice(0, 1), field.slice(2)]));
}

function refused(why: string): ClonaError {
  return new ClonaError('databaseFailed', `the server's authentication is not to be trusted: ${why}`);
}
