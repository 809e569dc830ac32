import { OraError } from '../../wire/values.ts';
import { applyDelta, digestOf } from './delta.ts';
import type { ControlDatafile, DataFile, Page, PageState, Redo } from './types.ts';

export const undoFile = 3;
/** The transaction table: numbers of the transactions that committed. */
export const transactionTable = 'TX';

const nothing: PageState = { content: null, transaction: 0, before: null };

export function stateOf(page: Page | undefined): PageState {
  if (page === undefined) return nothing;
  return { content: page.content, transaction: page.transaction, before: page.before };
}

function isMadeFrom(state: PageState, from: { digest: string; transaction: number }): boolean {
  return state.transaction === from.transaction && digestOf(state.content) === from.digest;
}

export function corrupt(file: ControlDatafile, page: string): OraError {
  const lines = [
    `ORACLE data block corrupted (file # ${file.file}, block # ${page})`,
    `ORA-01110: data file ${file.file}: '${file.name}'`,
  ];
  return new OraError(1578, lines.join('\n'));
}

/**
 * One record on one file, as recovery does it: what the block already has is skipped; a whole image replaces whatever is
 * there, also a fractured block; any other change insists on the block it was made from.
 */
export function applyRedo(data: DataFile, redo: Redo, known: ControlDatafile): void {
  if (redo.kind === 'endBackup') {
    if (data.header.backupScn === redo.beginScn) data.header.backupScn = null;
    return;
  }
  const found = data.pages.get(redo.page);
  if (redo.kind === 'nologging') {
    data.pages.set(redo.page, {
      content: unrecoverable,
      transaction: 0,
      before: null,
      head: redo.scn,
      tail: redo.scn,
    });
    return;
  }
  if (!redo.image) {
    if (found !== undefined && found.head !== found.tail) throw corrupt(known, redo.page);
    if (found !== undefined && found.head >= redo.scn) return;
    if (!isMadeFrom(stateOf(found), redo.from)) throw corrupt(known, redo.page);
  }
  const base = redo.image ? null : (found?.content ?? null);
  const { content, transaction, before } = redo.to;
  data.pages.set(redo.page, {
    content: applyDelta(base, content),
    transaction,
    before: applyDelta(base, before),
    head: redo.scn,
    tail: redo.scn,
  });
}

/** Content of a block that was loaded without redo and then recovered (ORA-26040). */
export const unrecoverable = '!NOLOGGING';

export function committedTransactions(table: Page | undefined): Set<number> {
  return new Set(
    table?.content === undefined || table.content === null ? [] : (JSON.parse(table.content) as number[]),
  );
}

/** What everybody sees of a block. */
export function committedContent(page: Page, committed: ReadonlySet<number>): string | null {
  return page.transaction === 0 || committed.has(page.transaction) ? page.content : page.before;
}
