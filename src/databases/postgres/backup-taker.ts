import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { writeDurably } from '../../archive/durable-file.ts';
import type { ArchiveFile } from '../../archive/format.ts';
import { createFrameFile, type FrameFile } from '../../archive/frame-file.ts';
import type { FramePool } from '../../archive/frame-pool.ts';
import { TarFramer } from '../../archive/tar-frames.ts';
import { ClonaError } from '../../errors.ts';
import type { CopyTaker } from './replication/session.ts';

interface OpenArchive {
  file: FrameFile;
  framer: TarFramer;
  tablespace: { oid: number; path: string } | null;
}

/**
 * Takes the CopyData of BASE_BACKUP (servers from 15 on; the manual's "BASE_BACKUP" message formats) into the folder
 * of a draft. The archive of the data directory comes last and stays open, so that log can be added.
 */
export class BackupTaker implements CopyTaker, AsyncDisposable {
  readonly #folder: string;
  readonly #pool: FramePool;
  readonly #onDone: (doneBytes: number) => void;
  #kind = '';
  #text: Buffer[] = [];
  #manifest: Buffer[] | undefined;
  #open: OpenArchive | undefined;
  #switching: Promise<void> | undefined;
  #isSwitching = false;
  readonly #finished: ArchiveFile[] = [];

  constructor(folder: string, pool: FramePool, onDone: (doneBytes: number) => void) {
    this.#folder = folder;
    this.#pool = pool;
    this.#onDone = onDone;
  }

  take(piece: Buffer, isFirst: boolean, isLast: boolean): number {
    if (this.#isSwitching) return 0;
    let at = 0;
    if (isFirst) {
      this.#kind = String.fromCharCode(piece[0] ?? 0);
      at = 1;
      if (this.#kind === 'm') this.#manifest = [];
    }
    if (this.#kind === 'd' && this.#manifest === undefined) {
      if (this.#open === undefined) {
        throw new ClonaError('databaseFailed', 'the server sends data before it names an archive');
      }
      return at + this.#open.framer.write(piece, at);
    }
    const bytes = Buffer.from(piece.subarray(at));
    if (this.#kind === 'd') this.#manifest?.push(bytes);
    else this.#text.push(bytes);
    if (isLast && this.#kind !== 'd') this.#endMessage();
    return piece.length;
  }

  async whenReady(): Promise<void> {
    if (this.#isSwitching) await this.#switching;
    else await this.#open?.framer.whenWritable();
  }

  /** Of the data directory, open until `finish`: log may be added to it. */
  get base(): TarFramer {
    if (this.#open?.tablespace !== null) {
      throw new ClonaError('databaseFailed', 'the server sent no archive of its data directory');
    }
    return this.#open.framer;
  }

  /** Closes the last archive and writes backup_manifest. */
  async finish(): Promise<{ archives: ArchiveFile[]; manifestSha256: string }> {
    await this.#closeArchive();
    if (this.#manifest === undefined) {
      throw new ClonaError('databaseFailed', 'the server sent no backup manifest');
    }
    const manifest = Buffer.concat(this.#manifest);
    await writeDurably(join(this.#folder, 'backup_manifest'), manifest);
    return { archives: this.#finished, manifestSha256: createHash('sha256').update(manifest).digest('hex') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#switching?.catch(() => {});
    await this.#open?.file[Symbol.asyncDispose]();
  }

  #endMessage(): void {
    const body = Buffer.concat(this.#text);
    this.#text = [];
    if (this.#kind === 'p') this.#onDone(Number(body.readBigInt64BE(0)));
    if (this.#kind !== 'n') return;
    const [name = '', path = ''] = body.toString('utf8').split('\0');
    this.#isSwitching = true;
    this.#switching = this.#openArchive(name, path).finally(() => (this.#isSwitching = false));
    // Whoever waits for it is told; nobody waits when the session broke meanwhile.
    this.#switching.catch(() => {});
  }

  async #openArchive(name: string, path: string): Promise<void> {
    await this.#closeArchive();
    const oid = /^(\d+)\.tar$/.exec(name)?.[1];
    if (oid === undefined && name !== 'base.tar') {
      throw new ClonaError('databaseFailed', `the server sends an archive of an unknown kind: ${name}`);
    }
    const file = await createFrameFile(this.#folder, `${name}.zst`, this.#pool);
    const framer = new TarFramer(this.#pool, file, name);
    this.#open = { file, framer, tablespace: oid === undefined ? null : { oid: Number(oid), path } };
  }

  async #closeArchive(): Promise<void> {
    if (this.#open === undefined) return;
    const { framer, tablespace } = this.#open;
    const written = await framer.finish();
    this.#open = undefined;
    this.#finished.push({
      ...written,
      tablespaceOid: tablespace?.oid ?? null,
      tablespacePath: tablespace?.path ?? null,
    });
  }
}
