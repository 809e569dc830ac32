import { OraError } from '../../wire/values.ts';
import { switchLog } from './checkpoint.ts';
import {
  committedNow,
  findFile,
  flushFile,
  mounted,
  nextScn,
  opened,
  writeOnlineLog,
  type Database,
  redoOf,
} from './database.ts';
import { deltaOf, digestOf } from './delta.ts';
import { applyRedo, committedContent, stateOf, transactionTable, undoFile } from './pages.ts';
import type { PageState, Redo } from './types.ts';

/** Log first, then the buffer. In backup mode the first change of a block logs the whole block. */
function write(database: Database, file: number, page: string, to: PageState): bigint {
  const open = opened(database);
  const control = mounted(database);
  const known = findFile(control, file);
  const data = open.files.get(file)!;
  const key = `${file}/${page}`;
  const image = known.backup?.active === true && !open.imaged.has(key);
  if (image) open.imaged.add(key);
  const from = stateOf(data.pages.get(page));
  // A whole block stands for itself, whatever is found where it goes.
  const base = image ? null : from.content;
  const { content, transaction, before } = to;
  const redo: Redo = {
    kind: 'change',
    scn: nextScn(database),
    file,
    page,
    from: { digest: digestOf(from.content), transaction: from.transaction },
    to: { content: deltaOf(base, content), transaction, before: deltaOf(base, before) },
    image,
  };
  redoOf(open, database.thread).push(redo);
  // A whole block is what makes backup mode dear: 8 KB, against the change alone.
  database.redoBytes += image ? 8192 : (to.content?.length ?? 0) + 64;
  applyRedo(data, redo, known);
  markDirty(database, file, page);
  return redo.scn;
}

function markDirty(database: Database, file: number, page: string): void {
  const { dirty } = opened(database);
  dirty.set(file, (dirty.get(file) ?? new Set()).add(page));
}

export function beginTransaction(database: Database): number {
  const open = opened(database);
  open.lastTransaction += 1;
  open.transactions.add(open.lastTransaction);
  return open.lastTransaction;
}

const shared = new WeakMap<Database, Map<string, Set<number>>>();

/** A lock in share mode until its transaction ends; false: another one has changed the object and did not end. */
export function holdShared(
  database: Database,
  transaction: number,
  { file, page }: { file: number; page: string },
): boolean {
  const open = opened(database);
  const held = open.files.get(file)?.pages.get(page)?.transaction ?? 0;
  if (held !== 0 && held !== transaction && open.transactions.has(held)) return false;
  const locks = shared.get(database) ?? new Map<string, Set<number>>();
  shared.set(database, locks);
  locks.set(page, (locks.get(page) ?? new Set()).add(transaction));
  return true;
}

function isHeldByOthers(database: Database, transaction: number, page: string): boolean {
  const { transactions } = opened(database);
  return [...(shared.get(database)?.get(page) ?? [])].some(
    (one) => one !== transaction && transactions.has(one),
  );
}

/** Changes one object; another running transaction's object is locked. */
export function changePage(
  database: Database,
  transaction: number,
  file: number,
  page: string,
  content: string | null,
): void {
  const open = opened(database);
  const found = open.files.get(file)?.pages.get(page);
  const held = found?.transaction ?? 0;
  const isHeld = held !== 0 && held !== transaction && open.transactions.has(held);
  if (isHeld || isHeldByOthers(database, transaction, page)) {
    throw new OraError(54, 'resource busy and acquire with NOWAIT specified or timeout expired');
  }
  const before =
    held === transaction
      ? found!.before
      : found === undefined
        ? null
        : committedContent(found, committedNow(database));
  write(database, file, page, { content, transaction, before });
  // The writer of the database writes when it likes: a copy made meanwhile may find a torn block.
  flushFile(database, file, true);
}

/** Loads without redo: what is then recovered from a backup is lost (ORA-26040). */
export function loadWithoutLogging(database: Database, file: number, page: string, content: string): void {
  const open = opened(database);
  const scn = nextScn(database);
  redoOf(open, database.thread).push({ kind: 'nologging', scn, file, page });
  open.files.get(file)!.pages.set(page, { content, transaction: 0, before: null, head: scn, tail: scn });
  const known = findFile(mounted(database), file);
  known.unrecoverableScn = scn;
  known.unrecoverableAt = database.now();
  flushFile(database, file, false);
  writeOnlineLog(database);
}

export function endTransaction(database: Database, transaction: number, commits: boolean): void {
  const open = opened(database);
  if (!open.transactions.delete(transaction)) return;
  if (commits) {
    const committed = [...committedNow(database), transaction];
    write(database, undoFile, transactionTable, {
      content: JSON.stringify(committed),
      transaction: 0,
      before: null,
    });
  } else {
    for (const [file, data] of open.files) {
      for (const [id, page] of data.pages) {
        if (page.transaction === transaction)
          write(database, file, id, { content: page.before, transaction: 0, before: null });
      }
    }
  }
  const written = writeOnlineLog(database);
  if (written >= (database.logBytes ?? Infinity)) switchFullLog(database);
}

/** An archiver that is stuck is told to whoever asks for a switch; work goes on here, where a real server would hang. */
function switchFullLog(database: Database): void {
  try {
    switchLog(database);
  } catch (error) {
    if (!(error instanceof OraError)) throw error;
  }
}

/** What a session sees of an object: its own changes, and what others have committed. */
export function readPage(database: Database, transaction: number, file: number, page: string): string | null {
  const found = opened(database).files.get(file)?.pages.get(page);
  if (found === undefined) return null;
  if (found.transaction === transaction && transaction !== 0) return found.content;
  return committedContent(found, committedNow(database));
}
