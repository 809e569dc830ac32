import { constants } from 'node:fs';
import {
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rmdir,
  stat,
  symlink,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import { chmod, chown, truncate, utimes } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Stats } from 'node:fs';
import ssh2, { type Attributes, type FileEntry, type InputAttributes, type SFTPWrapper } from 'ssh2';

const { STATUS_CODE, OPEN_MODE } = ssh2.utils.sftp;

type Opened =
  | { kind: 'file'; file: FileHandle }
  | { kind: 'folder'; path: string; entries: FileEntry[] | undefined };

/** A packet of SFTP holds 32 kB at least; names are at most 255 bytes, twice. */
const entriesPerAnswer = 50;

/** Answers SFTP version 3 (draft-ietf-secsh-filexfer-02) from the files this process may reach. */
export function serveSftp(sftp: SFTPWrapper, home: string): void {
  const handles = new Map<number, Opened>();
  let nextHandle = 0;
  const at = (path: string): string => resolve(home, path);
  const keep = (opened: Opened): Buffer => {
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(nextHandle);
    handles.set(nextHandle, opened);
    nextHandle += 1;
    return handle;
  };
  const find = (handle: Buffer): Opened => {
    const opened = handle.length === 4 ? handles.get(handle.readUInt32BE()) : undefined;
    if (opened === undefined) throw new Error('no such handle');
    return opened;
  };
  const fileOf = (handle: Buffer): FileHandle => {
    const opened = find(handle);
    if (opened.kind !== 'file') throw new Error('not a file');
    return opened.file;
  };
  /** Runs one request and answers its failure; success is answered by `work`, or by a plain OK. */
  const answer = (id: number, work: () => Promise<'answered' | void>): void => {
    void answerRequest(sftp, id, work);
  };

  sftp.on('OPEN', (id, path, flags, attributes) =>
    answer(id, async () => {
      const file = await open(at(path), toOpenFlags(flags), attributes.mode ?? 0o666);
      sftp.handle(id, keep({ kind: 'file', file }));
      return 'answered';
    }),
  );
  sftp.on('READ', (id, handle, offset, length) =>
    answer(id, async () => {
      const { bytesRead, buffer } = await fileOf(handle).read(Buffer.alloc(length), 0, length, offset);
      if (bytesRead === 0) sftp.status(id, STATUS_CODE.EOF);
      else sftp.data(id, buffer.subarray(0, bytesRead));
      return 'answered';
    }),
  );
  sftp.on('WRITE', (id, handle, offset, data) =>
    answer(id, async () => {
      let written = 0;
      while (written < data.length) {
        written += (await fileOf(handle).write(data, written, data.length - written, offset + written))
          .bytesWritten;
      }
    }),
  );
  sftp.on('CLOSE', (id, handle) =>
    answer(id, async () => {
      const opened = find(handle);
      handles.delete(handle.readUInt32BE());
      if (opened.kind === 'file') await opened.file.close();
    }),
  );
  sftp.on('OPENDIR', (id, path) =>
    answer(id, async () => {
      if (!(await stat(at(path))).isDirectory()) throw new Error('not a folder');
      sftp.handle(id, keep({ kind: 'folder', path: at(path), entries: undefined }));
      return 'answered';
    }),
  );
  sftp.on('READDIR', (id, handle) =>
    answer(id, async () => {
      const opened = find(handle);
      if (opened.kind !== 'folder') throw new Error('not a folder');
      opened.entries ??= await listFolder(opened.path);
      const names = opened.entries.splice(0, entriesPerAnswer);
      if (names.length === 0) sftp.status(id, STATUS_CODE.EOF);
      else sftp.name(id, names);
      return 'answered';
    }),
  );
  const answerAttributes = (id: number, read: () => Promise<Stats>): void =>
    answer(id, async () => {
      sftp.attrs(id, toAttributes(await read()));
      return 'answered';
    });
  sftp.on('STAT', (id, path) => answerAttributes(id, async () => stat(at(path))));
  sftp.on('LSTAT', (id, path) => answerAttributes(id, async () => lstat(at(path))));
  sftp.on('FSTAT', (id, handle) => answerAttributes(id, async () => fileOf(handle).stat()));
  const answerName = (id: number, read: () => Promise<string>): void =>
    answer(id, async () => {
      const filename = await read();
      sftp.name(id, [
        { filename, longname: filename, attrs: { mode: 0, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 } },
      ]);
      return 'answered';
    });
  sftp.on('REALPATH', (id, path) => answerName(id, async () => realpath(at(path)).catch(() => at(path))));
  sftp.on('READLINK', (id, path) => answerName(id, async () => readlink(at(path))));
  sftp.on('SETSTAT', (id, path, attributes) => answer(id, async () => setAttributes(at(path), attributes)));
  sftp.on('FSETSTAT', (id, handle, { mode, size }) =>
    answer(id, async () => {
      if (size !== undefined) await fileOf(handle).truncate(size);
      if (mode !== undefined) await fileOf(handle).chmod(mode & 0o7777);
    }),
  );
  sftp.on('REMOVE', (id, path) => answer(id, async () => unlink(at(path))));
  sftp.on('RMDIR', (id, path) => answer(id, async () => rmdir(at(path))));
  sftp.on('MKDIR', (id, path, { mode }) => answer(id, async () => mkdir(at(path), { mode: mode ?? 0o777 })));
  sftp.on('RENAME', (id, from, to) => answer(id, async () => rename(at(from), at(to))));
  // OpenSSH sends target and link the other way round than the draft; everybody follows it.
  sftp.on('SYMLINK', (id, target, link) => answer(id, async () => symlink(target, at(link))));
  sftp.on('EXTENDED', (id) => sftp.status(id, STATUS_CODE.OP_UNSUPPORTED));
  sftp.on('close', () => {
    for (const opened of handles.values()) {
      if (opened.kind === 'file') opened.file.close().catch(() => {});
    }
    handles.clear();
  });
}

async function answerRequest(
  sftp: SFTPWrapper,
  id: number,
  work: () => Promise<'answered' | void>,
): Promise<void> {
  try {
    if ((await work()) !== 'answered') sftp.status(id, STATUS_CODE.OK);
  } catch (error) {
    sftp.status(id, toStatus(error), error instanceof Error ? error.message : 'failure');
  }
}

async function listFolder(path: string): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  for (const filename of await readdir(path)) {
    const facts = await lstat(resolve(path, filename)).catch(() => undefined);
    // It may have gone since it was listed.
    if (facts !== undefined) entries.push({ filename, longname: filename, attrs: toAttributes(facts) });
  }
  return entries;
}

function toAttributes({ mode, uid, gid, size, atimeMs, mtimeMs }: Stats): Attributes {
  return { mode, uid, gid, size, atime: Math.floor(atimeMs / 1000), mtime: Math.floor(mtimeMs / 1000) };
}

async function setAttributes(path: string, attributes: InputAttributes): Promise<void> {
  const { mode, size, uid, gid, atime, mtime } = attributes;
  if (size !== undefined) await truncate(path, size);
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
  if (mode !== undefined) await chmod(path, Number(mode) & 0o7777);
  if (atime !== undefined && mtime !== undefined) await utimes(path, atime, mtime);
}

function toOpenFlags(flags: number): number {
  const reads = (flags & OPEN_MODE.READ) !== 0;
  const writes = (flags & OPEN_MODE.WRITE) !== 0;
  let result = reads && writes ? constants.O_RDWR : writes ? constants.O_WRONLY : constants.O_RDONLY;
  if ((flags & OPEN_MODE.APPEND) !== 0) result |= constants.O_APPEND;
  if ((flags & OPEN_MODE.CREAT) !== 0) result |= constants.O_CREAT;
  if ((flags & OPEN_MODE.TRUNC) !== 0) result |= constants.O_TRUNC;
  if ((flags & OPEN_MODE.EXCL) !== 0) result |= constants.O_EXCL;
  return result;
}

function toStatus(error: unknown): number {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return STATUS_CODE.NO_SUCH_FILE;
  if (code === 'EACCES' || code === 'EPERM') return STATUS_CODE.PERMISSION_DENIED;
  return STATUS_CODE.FAILURE;
}
