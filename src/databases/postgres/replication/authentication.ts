import { createHash } from 'node:crypto';
import { ClonaError } from '../../../errors.ts';
import { startScram, type ScramExchange } from './scram.ts';
import { message } from './wire.ts';

/** Answers the server's authentication requests: trust, password, md5, scram-sha-256. */
export class Authenticator {
  readonly #user: string;
  readonly #password: string | undefined;
  #scram: ScramExchange | undefined;

  constructor(user: string, password: string | undefined) {
    this.#user = user;
    this.#password = password;
  }

  /** The reply to an Authentication message, undefined where none is due. */
  answer(body: Buffer): Buffer | undefined {
    const rest = body.subarray(4);
    switch (body.readInt32BE(0)) {
      case 0:
        return undefined;
      case 3:
        return message('p', `${this.#needPassword()}\0`);
      case 5:
        return message(
          'p',
          `md5${md5(Buffer.concat([Buffer.from(md5(Buffer.from(this.#needPassword() + this.#user))), rest]))}\0`,
        );
      case 10:
        return this.#startScram(rest);
      case 11:
        return message('p', this.#exchange().answer(rest.toString('utf8')));
      case 12:
        this.#exchange().verify(rest.toString('utf8'));
        return undefined;
      default:
        throw new ClonaError(
          'databaseFailed',
          `the server asks for an authentication that is not supported (${body.readInt32BE(0)})`,
          {
            hint: 'trust, password, md5 and scram-sha-256 are',
          },
        );
    }
  }

  #startScram(offered: Buffer): Buffer {
    if (!offered.toString('utf8').split('\0').includes('SCRAM-SHA-256')) {
      throw new ClonaError('databaseFailed', 'the server offers no SCRAM-SHA-256');
    }
    this.#scram = startScram(this.#needPassword());
    const first = Buffer.from(this.#scram.first);
    const length = Buffer.alloc(4);
    length.writeInt32BE(first.length);
    return message('p', Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), length, first]));
  }

  #exchange(): ScramExchange {
    if (this.#scram === undefined)
      throw new ClonaError('databaseFailed', 'the server mixes up its authentication');
    return this.#scram;
  }

  #needPassword(): string {
    if (this.#password === undefined) {
      throw new ClonaError(
        'databaseFailed',
        `the server asks for the password of ${this.#user}, and none is given`,
      );
    }
    return this.#password;
  }
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}
