import { Readable } from 'node:stream';
import { ClonaError } from '../../../../errors.ts';
import type { Guest } from '../../../../guest/guest.ts';
import { quoteSh } from '../../../../guest/quote.ts';
import { inEnglish } from '../place/guest-shell.ts';
import { FileLedger, type PartOrigin } from './file-ledger.ts';
import { FrameReader } from './frame-reader.ts';
import type { PlaceUnpackOptions } from '../place/place.ts';
import { controlFile, type ReadFrame } from './unpack-job.ts';
import type { UnpackPool } from './unpack-pool.ts';
import { prefixOf, refuseLinks, unpackStep, type UnpackOutcome } from './unpack.ts';

export interface GuestUnpackOptions extends PlaceUnpackOptions {
  /** One connection a lane: each carries one tar stream at a time. */
  guests: readonly Guest[];
  pool: UnpackPool;
  signal: AbortSignal;
}

/** Frames that belong together in one stream: the first begins at a header, the others inside the file it ended in. */
interface Run {
  archive: number;
  frames: number[];
  bytes: number;
}

/** One tar process takes so many bytes; then they are remembered as done. */
const bytesPerStream = 256 * 2 ** 20;
/** Frames unpacked ahead of the stream, per lane. */
const framesAhead = 3;

/**
 * Unpacks a backup into a guest: frames are unpacked and proven here, by several threads, and go as tar streams over
 * several connections. What an earlier run had finished is proven here again but not sent again. Links to
 * tablespaces are made anew, and pg_control comes last.
 */
export async function unpackIntoGuest(options: GuestUnpackOptions): Promise<UnpackOutcome> {
  const { header, manifest, guests, root, signal } = options;
  const [first] = guests;
  if (first === undefined) throw new ClonaError('internal', 'no connection to the guest');
  const unpacking = new GuestUnpacking(options, new FileLedger(manifest));
  await unpacking.begin(first);
  const queue = runsOf(options)[Symbol.iterator]();
  await Promise.all(guests.map(async (guest) => unpacking.work(guest, queue)));
  const missing = unpacking.ledger.findMissing(header.label);
  if (missing !== undefined) throw missing;
  await must(first, `sync -f ${quoteSh(root)} 2>/dev/null || sync`, signal);
  await first.writeFile(`${root}/${controlFile}`, unpacking.control(), 0o600, signal);
  return unpacking.outcome;
}

function runsOf({ header }: GuestUnpackOptions): Run[] {
  const runs: Run[] = [];
  for (const [archive, { frames }] of header.archives.entries()) {
    for (const [frame, { inside, rawBytes }] of frames.entries()) {
      const last = runs.at(-1);
      if (inside === null || last === undefined || last.archive !== archive) {
        runs.push({ archive, frames: [frame], bytes: rawBytes });
      } else {
        last.frames.push(frame);
        last.bytes += rawBytes;
      }
    }
  }
  // The longest first: a file of 1 GiB at the end would leave the other lanes idle.
  return runs.sort((a, b) => b.bytes - a.bytes);
}

class GuestUnpacking {
  readonly outcome: UnpackOutcome = { bytes: 0, writtenBytes: 0, reusedFiles: 0, repairs: [] };
  readonly ledger: FileLedger;
  readonly #options: GuestUnpackOptions;
  readonly #reader: FrameReader;
  /** By offset: a piece that is read again takes the place of the wrong one. */
  readonly #control = new Map<number, Uint8Array>();
  /** Runs with a file that was not what the manifest says: they are sent once more, from the other copy. */
  readonly #wrong = new Set<string>();
  #done = new Set<string>();
  #toldBytes = 0;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: GuestUnpackOptions, ledger: FileLedger) {
    this.#options = options;
    this.ledger = ledger;
    this.#reader = new FrameReader(options.header, options.sources, this.outcome.repairs);
  }

  /** Reads what an earlier run finished; without that, begins with nothing. */
  async begin(guest: Guest): Promise<void> {
    const { root, journal, tablespaces, header, signal } = this.#options;
    const earlier = await guest.run(['cat', journal], { signal });
    const [backup, ...lines] = earlier.exitCode === 0 ? earlier.stdout.split('\n') : [];
    if (backup === header.manifestSha256) this.#done = new Set(lines.filter((line) => line !== ''));
    const words = [root, ...tablespaces.values()].map(quoteSh);
    if (this.#done.size === 0) await must(guest, `rm -rf ${words.join(' ')}`, signal);
    const links = [...tablespaces].map(
      ([oid, place]) => `ln -sfn ${quoteSh(place)} ${quoteSh(`${root}/pg_tblspc/${oid}`)}`,
    );
    const folders = [...words, quoteSh(`${root}/pg_tblspc`)].join(' ');
    await must(
      guest,
      ['umask 077', `mkdir -p ${folders}`, `chmod 700 ${folders}`, ...links].join(' && '),
      signal,
    );
    await this.#remember(guest);
  }

  async work(guest: Guest, queue: Iterator<Run>): Promise<void> {
    for (let next = queue.next(); next.done !== true;) {
      const batch: Run[] = [];
      let bytes = 0;
      // A stream goes into one folder: that of one archive.
      for (; next.done !== true && bytes < bytesPerStream; next = queue.next()) {
        if (batch[0] !== undefined && batch[0].archive !== next.value.archive) break;
        batch.push(next.value);
        bytes += next.value.bytes;
      }
      await this.#send(guest, batch);
    }
  }

  async #send(guest: Guest, batch: readonly Run[]): Promise<void> {
    const { root, tablespaces, header, signal } = this.#options;
    const archive = header.archives[batch[0]?.archive ?? 0]!; // batches are never empty
    const folder = archive.tablespaceOid === null ? root : (tablespaces.get(archive.tablespaceOid) ?? root);
    for (const run of batch) if (this.#done.has(keyOf(run))) await this.#prove(run);
    const fresh = batch.filter((run) => !this.#done.has(keyOf(run)));
    if (fresh.length === 0) return;
    const stop = new AbortController();
    let failure: unknown;
    const content = Readable.from(this.#stream(fresh), { objectMode: false, highWaterMark: 2 ** 20 });
    content.on('error', (error) => {
      failure = error;
      stop.abort(error);
    });
    // -p: modes as in the archive; the owner is whoever runs tar.
    const script = `${inEnglish}umask 077 && exec tar -xpf - --no-same-owner -C ${quoteSh(folder)}`;
    try {
      const result = await guest.runShell(script, {
        signal: AbortSignal.any([signal, stop.signal]),
        stdin: content,
      });
      if (result.exitCode !== 0) throw tarError(result.stderr, folder);
    } catch (error) {
      signal.throwIfAborted();
      throw failure ?? error;
    }
    const wrong = fresh.filter((run) => this.#wrong.delete(keyOf(run)));
    for (const run of fresh) if (!wrong.includes(run)) this.#done.add(keyOf(run));
    this.#writing = this.#writing.then(async () => this.#remember(guest));
    await this.#writing;
    if (wrong.length > 0) await this.#send(guest, wrong);
  }

  /** What an earlier run has sent is proven from the archive; a wrong file in it would have to be sent again. */
  async #prove(run: Run): Promise<void> {
    for await (const _ of this.#read(run)) void _;
    if (this.#wrong.delete(keyOf(run))) this.#done.delete(keyOf(run));
  }

  async #remember(guest: Guest): Promise<void> {
    const { journal, header, signal } = this.#options;
    await guest.writeFile(journal, `${[header.manifestSha256, ...this.#done].join('\n')}\n`, 0o600, signal);
  }

  async *#stream(batch: readonly Run[]): AsyncGenerator<Uint8Array> {
    for (const run of batch) {
      for await (const tar of this.#read(run)) {
        this.outcome.writtenBytes += tar.length;
        yield tar;
      }
    }
    yield new Uint8Array(1024);
  }

  /** A run's frames in order, a few of them unpacked ahead. */
  async *#read(run: Run): AsyncGenerator<Uint8Array> {
    const ahead: Promise<ReadFrame>[] = [];
    const next = run.frames[Symbol.iterator]();
    const fill = (): void => {
      while (ahead.length < framesAhead) {
        const frame = next.next();
        if (frame.done === true) return;
        const reading = this.#take({ archive: run.archive, frame: frame.value }, run);
        // Heard when its turn comes.
        reading.catch(() => {});
        ahead.push(reading);
      }
    };
    for (fill(); ahead.length > 0; fill()) {
      const frame = await ahead.shift();
      if (frame !== undefined) yield frame.tar;
    }
  }

  async #take(origin: PartOrigin, run: Run): Promise<ReadFrame> {
    const { pool, header } = this.#options;
    const read = await this.#reader.read(origin, async (source, frame, archive) =>
      pool.run({ kind: 'read', source, frame, prefix: prefixOf(archive) }),
    );
    refuseLinks(read.links, header.label);
    if (read.control !== null) this.#control.set(read.control.offset, read.control.bytes);
    for (const part of read.parts) {
      this.outcome.bytes += part.bytes;
      const verdict = this.ledger.take(part, origin);
      if (verdict.kind === 'wrong') {
        // Its bytes are on their way already: the right ones follow in another stream, which replaces the file.
        this.#reader.turnToOther(verdict.problem, verdict.origins);
        this.ledger.forget(part.path);
        this.#wrong.add(keyOf(run));
      }
      // SHA sums of parts cannot be put together: such a file rests on the checksums of its frames.
      if (verdict.kind === 'read') this.ledger.markWhole(part.path);
    }
    this.#tell();
    return read;
  }

  #tell(): void {
    const { header, onProgress } = this.#options;
    if (this.outcome.bytes - this.#toldBytes < header.rawBytes / 100) return;
    this.#toldBytes = this.outcome.bytes;
    onProgress({
      step: unpackStep,
      state: 'running',
      doneBytes: this.#toldBytes,
      totalBytes: header.rawBytes,
    });
  }

  control(): Buffer {
    return Buffer.concat([...this.#control].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  }
}

function keyOf({ archive, frames }: Run): string {
  return `${archive}/${frames[0] ?? 0}`;
}

async function must(guest: Guest, script: string, signal: AbortSignal): Promise<void> {
  const result = await guest.runShell(`${inEnglish}${script}`, { signal });
  if (result.exitCode !== 0) throw tarError(result.stderr, script.split('\n', 1)[0] ?? '');
}

function tarError(stderr: string, where: string): ClonaError {
  const said = stderr.trim().slice(-500);
  // Of the hundred files that did not fit the first says enough.
  const full = said.split('\n').find((line) => /No space left|quota exceeded/i.test(line));
  if (full !== undefined) {
    return new ClonaError('diskFull', `no space left on the guest for ${where}`, {
      cause: new Error(full),
      hint: 'give its data disk more room and run the same command again',
    });
  }
  return new ClonaError('guestFailed', `the guest could not take the files of ${where}`, {
    cause: new Error(said),
  });
}
