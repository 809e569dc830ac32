import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client, SFTPWrapper } from 'ssh2';
import { ClonaError } from '../errors.ts';

/** Files of a guest, over SFTP. Paths are the guest's own; a relative one begins at the user's home. */
export interface GuestFiles {
  read(path: string, signal: AbortSignal): Promise<Buffer>;
  write(path: string, content: Buffer | string, mode: number, signal: AbortSignal): Promise<void>;
  upload(localPath: string, path: string, signal: AbortSignal): Promise<void>;
  download(path: string, localPath: string, signal: AbortSignal): Promise<void>;
  list(path: string, signal: AbortSignal): Promise<string[]>;
}

/** Opens the SFTP subsystem on a connection; it is closed with the connection. */
export async function openSftp(
  client: Client,
  /** How the guest's paths are written in SFTP. */
  toSftp: (path: string) => string = (path) => path,
): Promise<GuestFiles> {
  const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
    client.sftp((error, opened) => (error === undefined ? resolve(opened) : reject(error)));
  }).catch((cause: unknown) => {
    throw new ClonaError('guestFailed', 'the guest offers no file transfer (SFTP)', { cause });
  });
  return {
    read: async (path, signal) =>
      named('read', path, signal, async () => {
        const chunks: Buffer[] = [];
        const collect = new Writable({
          write(chunk: Buffer, _encoding, done) {
            chunks.push(chunk);
            done();
          },
        });
        await transfer(sftp.createReadStream(toSftp(path)), collect, signal);
        return Buffer.concat(chunks);
      }),
    write: async (path, content, mode, signal) =>
      named('written', path, signal, async () => {
        await replace(sftp, toSftp(path), Readable.from([Buffer.from(content)]), mode, signal);
      }),
    upload: async (localPath, path, signal) =>
      named('written', path, signal, async () => {
        await replace(sftp, toSftp(path), createReadStream(localPath), 0o644, signal);
      }),
    download: async (path, localPath, signal) =>
      named('read', path, signal, async () => {
        const partial = `${localPath}.${randomBytes(6).toString('hex')}.partial`;
        try {
          await pipeline(sftp.createReadStream(toSftp(path)), createWriteStream(partial, { flags: 'wx' }), {
            signal,
          });
          await rename(partial, localPath);
        } finally {
          await rm(partial, { force: true });
        }
      }),
    list: async (path, signal) =>
      named('listed', path, signal, async () => {
        const entries = await call<{ filename: string }[]>((done) => sftp.readdir(toSftp(path), done));
        return entries.map(({ filename }) => filename).sort();
      }),
  };
}

/** The remote file is closed before this returns: a connection that ends earlier leaves an error nobody hears. */
async function transfer(source: Readable, target: Writable, signal: AbortSignal): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    source.once('close', () => resolve());
  });
  await pipeline(source, target, { signal });
  await closed;
}

async function replace(
  sftp: SFTPWrapper,
  path: string,
  content: Readable,
  mode: number,
  signal: AbortSignal,
): Promise<void> {
  const partial = `${path}.${randomBytes(6).toString('hex')}.partial`;
  try {
    await pipeline(content, sftp.createWriteStream(partial, { flags: 'wx', mode }), { signal });
    // The guest's umask took part in creating it.
    await call<void>((done) => sftp.chmod(partial, mode, done));
    await moveOver(sftp, partial, path);
  } catch (error) {
    const full = await isFull(sftp, path);
    await call<void>((done) => sftp.unlink(partial, done)).catch(() => {});
    throw full ? diskFull(path, error) : error;
  }
}

/** SFTP knows no status for a full disk, OpenSSH says just "Failure": its own question about the disk tells. */
async function isFull(sftp: SFTPWrapper, path: string): Promise<boolean> {
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : '.';
  const facts = await call<{ f_bavail?: unknown }>((done) =>
    sftp.ext_openssh_statvfs(folder, (error, found: { f_bavail?: unknown }) => done(error, found)),
  ).catch(() => undefined);
  return Number(facts?.f_bavail) === 0;
}

function diskFull(path: string, cause: unknown): ClonaError {
  return new ClonaError('diskFull', `no space left on the guest for ${path}`, {
    cause,
    hint: 'give that disk more room and run the same command again',
  });
}

/** SFTP's own rename may refuse an existing name (draft-ietf-secsh-filexfer-02, 6.5); OpenSSH has one that does not. */
async function moveOver(sftp: SFTPWrapper, from: string, to: string): Promise<void> {
  try {
    await call<void>((done) => sftp.ext_openssh_rename(from, to, done));
    return;
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('does not support')) throw error;
  }
  try {
    await call<void>((done) => sftp.rename(from, to, done));
  } catch {
    // The old file goes only where both are files of the same folder and the server refused just the existing name.
    await call<void>((done) => sftp.unlink(to, done));
    await call<void>((done) => sftp.rename(from, to, done));
  }
}

async function call<Result>(
  start: (done: (error?: Error | null, result?: Result) => void) => unknown,
): Promise<Result> {
  return new Promise<Result>((resolve, reject) => {
    start((error, result) => {
      if (error === undefined || error === null) resolve(result as Result); // the callback's own promise
      else reject(error);
    });
  });
}

async function named<Result>(
  verb: string,
  path: string,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void =>
    aborted.reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work(), aborted.promise]);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof ClonaError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    if (verb === 'written' && /no space left|ENOSPC|EDQUOT/i.test(message)) throw diskFull(path, cause);
    throw new ClonaError('guestFailed', `${path} cannot be ${verb} in the guest: ${message}`, { cause });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
