import {
  aborted,
  applyRedo,
  blockCount,
  committed,
  copyBlock,
  createBlocks,
  files,
  joinHalves,
  mostTransactions,
  readCommitted,
  resolve,
  transactionTable,
  type Block,
  type Redo,
} from './blocks.ts';

export type Kind = 'hot' | 'managed' | 'quiesced' | 'cold' | 'export';

/** What lies in the archive under one label. */
export interface StoredBackup {
  blocks: Block[];
  ownLog: Redo[];
  /** The rows of an export. */
  rows: number[] | null;
}

interface OnlineLog {
  sequence: number;
  first: number;
  firstMinute: number;
  records: Redo[];
}

interface Incarnation {
  id: number;
  parent: number | null;
  branch: number;
  minute: number;
}

export interface BackupRecord {
  label: string;
  incarnation: number;
  kind: Kind;
  start: number;
  consistentFrom: number | null;
  startedMinute: number;
  finishedMinute: number | null;
  state: 'available' | 'missing' | 'damaged';
  ownLog: boolean;
  grade: number | null;
  pinned: boolean;
}

export interface LogRecord {
  incarnation: number;
  thread: number;
  sequence: number;
  first: number;
  next: number;
  firstMinute: number;
  nextMinute: number;
  state: 'available' | 'missing' | 'damaged';
}

/** A backup being made, one piece at each turn, while the work goes on. */
interface RunningBackup {
  record: BackupRecord;
  blocks: (Block | null)[];
  /** First read of a block whose second read is still to come. */
  half: Block | null;
  tailFirst: boolean;
  next: number;
  fileStarts: number[];
  consistent: number;
  imaged: Set<number>;
  wholeBlockRedo: boolean;
}

export interface Options {
  /** Every commit writes its blocks to disk; else they go when they go. */
  force: boolean;
  /** The first log of a branch begins with a copy of its parent's tail, as PostgreSQL's does. */
  copiesTail: boolean;
  /** false: a broken database that logs no whole blocks in backup mode. */
  wholeBlockRedo: boolean;
}

export interface Simulation {
  options: Options;
  minute: number;
  nextPosition: number;
  nextTx: number;
  incarnations: Incarnation[];
  current: number;
  /** The secret: everything that ever happened, by incarnation. */
  truth: Map<number, Redo[]>;
  disk: Block[];
  memory: Block[];
  open: Map<number, { thread: number; blocks: Set<number> }>;
  online: Map<number, OnlineLog>;
  /** From which position crash recovery has to read. */
  checkpoint: number;
  running: RunningBackup | null;
  backups: BackupRecord[];
  logs: LogRecord[];
  vault: { backups: Map<string, StoredBackup>; logs: Map<string, Redo[]> };
}

export function createSimulation(options: Options): Simulation {
  return {
    options,
    minute: 0,
    nextPosition: 10,
    nextTx: 1,
    incarnations: [{ id: 1, parent: null, branch: 1, minute: 0 }],
    current: 1,
    truth: new Map([[1, []]]),
    disk: createBlocks(),
    memory: createBlocks(),
    open: new Map(),
    online: new Map([[1, { sequence: 1, first: 1, firstMinute: 0, records: [] }]]),
    checkpoint: 1,
    running: null,
    backups: [],
    logs: [],
    vault: { backups: new Map(), logs: new Map() },
  };
}

export function logName({
  incarnation,
  thread,
  sequence,
}: {
  incarnation: number;
  thread: number;
  sequence: number;
}): string {
  return `${incarnation}/${thread}/${sequence}`;
}

/** Log first, then the buffer. */
function write(
  sim: Simulation,
  thread: number,
  block: number,
  cell: number,
  value: number,
  tx: number,
): void {
  const buffer = sim.memory[block]!;
  const before = buffer.cells[cell]!;
  const keeps = before.tx === tx && tx !== 0 ? before.before : resolve(before, sim.memory[transactionTable]!);
  const redo: Redo = {
    position: sim.nextPosition,
    thread,
    block,
    cell,
    before,
    after: { value, tx, before: keeps },
  };
  const { running } = sim;
  if (running?.record.kind === 'hot' && running.wholeBlockRedo && !running.imaged.has(block)) {
    redo.image = [...buffer.cells];
    running.imaged.add(block);
  }
  sim.nextPosition += 1 + (value % 2);
  sim.online.get(thread)!.records.push(redo);
  sim.truth.get(sim.current)!.push(redo);
  applyRedo([...sim.memory], redo);
}

function threadOf(sim: Simulation, pick: number): number {
  const threads = [...sim.online.keys()];
  return threads[pick % threads.length]!;
}

export function begin(sim: Simulation, pick: number): void {
  if (sim.nextTx >= mostTransactions || sim.open.size > 3) return;
  sim.open.set(sim.nextTx, { thread: threadOf(sim, pick), blocks: new Set() });
  sim.nextTx += 1;
}

/** A row that another open transaction has written is locked. */
export function change(sim: Simulation, pick: number, value: number): void {
  const transactions = [...sim.open.keys()];
  const tx = transactions[pick % Math.max(1, transactions.length)];
  if (tx === undefined) return;
  const block = 1 + (value % (blockCount - 1));
  const cell = (value >> 3) % 4;
  const writer = sim.memory[block]!.cells[cell]!.tx;
  if (writer !== tx && sim.open.has(writer)) return;
  const { thread, blocks } = sim.open.get(tx)!;
  write(sim, thread, block, cell, value + 1, tx);
  blocks.add(block);
}

export function end(sim: Simulation, pick: number, commits: boolean): void {
  const transactions = [...sim.open.keys()];
  const tx = transactions[pick % Math.max(1, transactions.length)];
  if (tx === undefined) return;
  const { thread, blocks } = sim.open.get(tx)!;
  write(sim, thread, transactionTable, tx, commits ? committed : aborted, 0);
  sim.open.delete(tx);
  if (sim.options.force && commits) for (const block of [...blocks, transactionTable]) flush(sim, block);
}

export function flush(sim: Simulation, block: number): void {
  sim.disk[block] = copyBlock(sim.memory[block]!);
}

export function checkpoint(sim: Simulation): void {
  for (let block = 0; block < blockCount; block += 1) flush(sim, block);
  sim.checkpoint = sim.nextPosition;
}

/** Closes the online log of a thread and archives it; a log is never empty. */
export function switchLog(sim: Simulation, pick: number): void {
  const thread = threadOf(sim, pick);
  const log = sim.online.get(thread)!;
  if (log.records.length === 0 || log.first >= sim.nextPosition) heartbeat(sim, thread);
  archive(sim, thread, log);
  sim.online.set(thread, {
    sequence: log.sequence + 1,
    first: sim.nextPosition,
    firstMinute: sim.minute,
    records: [],
  });
}

function archive(sim: Simulation, thread: number, log: OnlineLog): void {
  const record: LogRecord = {
    incarnation: sim.current,
    thread,
    sequence: log.sequence,
    first: log.first,
    next: sim.nextPosition,
    firstMinute: log.firstMinute,
    nextMinute: sim.minute,
    state: 'available',
  };
  sim.logs.push(record);
  sim.vault.logs.set(logName(record), log.records);
}

/** A record that changes nothing anybody sees. */
function heartbeat(sim: Simulation, thread: number): void {
  write(sim, thread, transactionTable, 0, sim.nextPosition % 7, 0);
}

export function enableThread(sim: Simulation): void {
  if (sim.online.size > 1) return;
  sim.online.set(2, { sequence: 1, first: sim.nextPosition, firstMinute: sim.minute, records: [] });
  heartbeat(sim, 2);
}

/** The instance dies: what was not written to disk is made again from the online log, open transactions are gone. */
export function crash(sim: Simulation): void {
  const disk = sim.disk.map(copyBlock);
  const records = sim.truth.get(sim.current)!.filter(({ position }) => position >= sim.checkpoint);
  for (const redo of records) if (redo.position > disk[redo.block]!.position) applyRedo(disk, redo);
  const expected = readCommitted(sim.memory);
  if (JSON.stringify(readCommitted(disk)) !== JSON.stringify(expected))
    throw new Error('crash recovery lost something');
  sim.memory = disk;
  sim.open.clear();
  abandonBackup(sim);
  checkpoint(sim);
}

/** An interrupted backup stays behind as a record without an end. */
function abandonBackup(sim: Simulation): void {
  if (sim.running !== null) sim.backups.push(sim.running.record);
  sim.running = null;
}

export function startBackup(sim: Simulation, kind: Kind, pick: number): void {
  if (sim.running !== null || sim.backups.length > 7) return;
  const record: BackupRecord = {
    label: `B${sim.backups.length + 1}`,
    incarnation: sim.current,
    kind,
    start: sim.nextPosition,
    consistentFrom: null,
    startedMinute: sim.minute,
    finishedMinute: null,
    state: 'available',
    ownLog: kind !== 'export' && pick % 5 === 0,
    grade: pick % 3 === 0 ? null : pick % 7,
    pinned: pick % 11 === 0,
  };
  if (kind === 'quiesced' || kind === 'cold') {
    while (sim.open.size > 0) end(sim, 0, pick % 2 === 0);
    checkpoint(sim);
    record.start = sim.nextPosition;
    store(sim, { ...record, ownLog: false, consistentFrom: sim.nextPosition }, sim.disk.map(copyBlock), null);
    return;
  }
  if (kind === 'export') {
    store(sim, { ...record, consistentFrom: sim.nextPosition }, [], readCommitted(sim.memory));
    return;
  }
  // Backup mode begins with a checkpoint, and freezes the position in the header of every file.
  if (kind === 'hot') checkpoint(sim);
  sim.running = {
    record,
    blocks: Array.from({ length: blockCount }, () => null),
    half: null,
    tailFirst: pick % 2 === 0,
    next: 0,
    fileStarts: [],
    consistent: sim.nextPosition,
    imaged: new Set(),
    wholeBlockRedo: sim.options.wholeBlockRedo,
  };
}

function store(sim: Simulation, record: BackupRecord, blocks: Block[], rows: number[] | null): void {
  const finished = { ...record, finishedMinute: sim.minute };
  sim.backups.push(finished);
  const until = finished.consistentFrom!;
  const ownLog = finished.ownLog
    ? recordsOnPath(sim, sim.current, until).filter(({ position }) => position >= finished.start)
    : [];
  sim.vault.backups.set(finished.label, { blocks, ownLog, rows });
}

/** Copies the next piece of a running backup. */
export function stepBackup(sim: Simulation): void {
  const { running } = sim;
  if (running === null) return;
  if (running.next === blockCount) return finishBackup(sim, running);
  if (running.record.kind === 'hot') copyHalf(sim, running);
  else copyConsistent(sim, running);
}

/** The operating system knows no blocks: it reads what is on disk, a half now and a half later. */
function copyHalf(sim: Simulation, running: RunningBackup): void {
  const found = copyBlock(sim.disk[running.next]!);
  if (running.half === null) {
    running.half = found;
    return;
  }
  const [head, tail] = running.tailFirst ? [found, running.half] : [running.half, found];
  running.blocks[running.next] = joinHalves(head, tail);
  running.half = null;
  running.next += 1;
}

/** The database's own tool: a start for each file, whole blocks, and the highest position it met. */
function copyConsistent(sim: Simulation, running: RunningBackup): void {
  const file = files.find((blocks) => blocks.includes(running.next))!;
  if (file[0] === running.next) {
    for (const block of file) flush(sim, block);
    running.fileStarts.push(sim.nextPosition);
    running.consistent = Math.max(running.consistent, sim.nextPosition);
  }
  const copy = copyBlock(sim.disk[running.next]!);
  running.consistent = Math.max(running.consistent, copy.position + 1);
  running.blocks[running.next] = copy;
  running.next += 1;
}

function finishBackup(sim: Simulation, running: RunningBackup): void {
  const { record, blocks } = running;
  sim.running = null;
  if (record.kind === 'hot') {
    heartbeat(sim, threadOf(sim, 0)); // the END BACKUP record
    running.consistent = sim.nextPosition;
  } else record.start = Math.min(...running.fileStarts);
  store(
    sim,
    { ...record, consistentFrom: running.consistent },
    blocks.map((block) => block!),
    null,
  );
}

/** What is lost is lost: its content goes too. */
export function loseSomething(sim: Simulation, pick: number): void {
  const state = pick % 2 === 0 ? 'missing' : 'damaged';
  if (pick % 4 === 0) {
    const backup = sim.backups[(pick >> 2) % Math.max(1, sim.backups.length)];
    if (backup === undefined) return;
    backup.state = state;
    sim.vault.backups.delete(backup.label);
  } else {
    const log = sim.logs[(pick >> 2) % Math.max(1, sim.logs.length)];
    if (log !== undefined) loseLog(sim, log, state);
  }
}

function loseLog(sim: Simulation, log: LogRecord, state: 'missing' | 'damaged'): void {
  log.state = state;
  sim.vault.logs.delete(logName(log));
}

export function pathTo(sim: Simulation, id: number): Incarnation[] {
  const found = sim.incarnations.find((one) => one.id === id)!;
  return found.parent === null ? [found] : [...pathTo(sim, found.parent), found];
}

/** The secret history of one path below `until`, in order. */
export function recordsOnPath(sim: Simulation, id: number, until: number): Redo[] {
  const path = pathTo(sim, id);
  return path.flatMap((incarnation, depth) => {
    const cut = Math.min(until, path[depth + 1]?.branch ?? Infinity);
    return sim.truth.get(incarnation.id)!.filter(({ position }) => position < cut);
  });
}

/** What a restore of (path of `id`, `until`) has to show. */
export function committedAt(sim: Simulation, id: number, until: number): number[] {
  const blocks = createBlocks();
  for (const redo of recordsOnPath(sim, id, until))
    applyRedo(blocks, { ...redo, image: blocks[redo.block]!.cells });
  return readCommitted(blocks);
}

/** Restored blocks become production: on a new incarnation, or on the same when the whole log was applied. */
export function reopen(
  sim: Simulation,
  blocks: Block[],
  target: { incarnation: number; until: number },
  opensNewIncarnation: boolean,
  archivesRest: boolean,
): void {
  abandonBackup(sim);
  sim.open.clear();
  sim.memory = blocks.map(copyBlock);
  if (opensNewIncarnation) {
    const threads = new Map(
      recordsOnPath(sim, target.incarnation, target.until).map(({ thread }) => [thread, thread]),
    );
    for (const [thread, log] of sim.online) {
      if (log.first >= sim.nextPosition) continue;
      archive(sim, thread, log);
      // The control file still knows that there was such a log: without that its thread could be overlooked.
      if (!archivesRest) loseLog(sim, sim.logs.at(-1)!, 'missing');
    }
    const id = sim.incarnations.length + 1;
    const tail = sim.options.copiesTail ? Math.min(4, target.until - 2) : 0;
    const copied = recordsOnPath(sim, target.incarnation, target.until).filter(
      ({ position }) => position >= target.until - tail,
    );
    sim.incarnations.push({ id, parent: target.incarnation, branch: target.until, minute: sim.minute });
    sim.current = id;
    sim.truth.set(id, []);
    sim.nextPosition = target.until;
    sim.online = new Map(
      [1, ...threads.keys()].map((thread) => [
        thread,
        {
          sequence: 1,
          first: target.until - tail,
          firstMinute: sim.minute,
          records: copied.filter((redo) => redo.thread === thread),
        },
      ]),
    );
  }
  checkpoint(sim);
}
