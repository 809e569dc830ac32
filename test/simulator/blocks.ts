/**
 * The physical side of the small database: blocks in files, and redo that changes one cell of one block.
 * Undo lies in the blocks themselves, as in any multi-version store: a cell keeps what it held before its last
 * writer, and the transaction table (block 0) says whether that writer ever committed.
 */
export interface Cell {
  value: number;
  /** Who wrote it; 0: nobody's transaction (the transaction table itself). */
  tx: number;
  before: number;
}

export interface Block {
  /** Position of the last change; -1: never changed. Written in the head of the block. */
  position: number;
  cells: Cell[];
}

export interface Redo {
  position: number;
  thread: number;
  block: number;
  cell: number;
  before: Cell;
  after: Cell;
  /** The whole block before this change: written for the first change of a block in backup mode. */
  image?: Cell[];
}

export const transactionTable = 0;
export const committed = 1;
export const aborted = 2;
/** Blocks by file: the transaction table, then data. */
export const files: readonly (readonly number[])[] = [[0], [1, 2], [3, 4]];
export const blockCount = 5;
const dataCells = 4;
export const mostTransactions = 160;

export function createBlocks(): Block[] {
  return Array.from({ length: blockCount }, (_, block) => ({
    position: -1,
    cells: Array.from({ length: block === transactionTable ? mostTransactions : dataCells }, () => ({
      value: 0,
      tx: 0,
      before: 0,
    })),
  }));
}

/** Cells are never changed in place, so blocks can share them. */
export function copyBlock({ position, cells }: Block): Block {
  return { position, cells: [...cells] };
}

/** A block copied in two moments: its head, with the position, from one, its tail from another. */
export function joinHalves(head: Block, tail: Block): Block {
  const middle = head.cells.length >> 1;
  return { position: head.position, cells: [...head.cells.slice(0, middle), ...tail.cells.slice(middle)] };
}

/** What a server does with one record: skip what the block already has, insist on the image it was made from. */
export function applyRedo(blocks: Block[], redo: Redo): void {
  const block = blocks[redo.block]!;
  if (redo.image !== undefined) block.cells = [...redo.image];
  else if (block.position >= redo.position) return;
  const found = block.cells[redo.cell]!;
  if (found.value !== redo.before.value || found.tx !== redo.before.tx) {
    throw new Error(
      `block ${redo.block} is corrupt: the change at ${redo.position} was made from another image`,
    );
  }
  block.cells[redo.cell] = redo.after;
  block.position = redo.position;
}

/** What everybody sees: rows of transactions that did not commit count for what they were before. */
export function readCommitted(blocks: readonly Block[]): number[] {
  const table = blocks[transactionTable]!;
  return blocks.slice(1).flatMap(({ cells }) => cells.map((cell) => resolve(cell, table)));
}

export function resolve({ value, tx, before }: Cell, table: Block): number {
  return tx === 0 || table.cells[tx]!.value === committed ? value : before;
}
