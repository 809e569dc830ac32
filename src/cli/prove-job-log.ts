import { open } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';
import { createJobLogJudge, type JobLogJudgement, type JobLogKind } from '../proof/job-log.ts';
import { findEncoding } from '../proof/job-log-text.ts';

type KnownJudgement = JobLogJudgement & { kind: JobLogKind };

/** Reads and judges a job log of any size and encoding, a chunk at a time. A file that is no job log is refused. */
export async function readJobLog(path: string, signal: AbortSignal): Promise<KnownJudgement> {
  const judgement = await judgeFile(path, signal);
  const { kind } = judgement;
  if (kind === null) {
    throw new ClonaError('jobLogUnknown', `${path} is not the log of expdp, impdp, exp, imp or RMAN`, {
      hint: 'looked for: their banners, EXP-, IMP-, RMAN-, ORA-39nnn codes, rows of ". . ", a job name, channel lines',
    });
  }
  return { ...judgement, kind };
}

async function judgeFile(path: string, signal: AbortSignal): Promise<JobLogJudgement> {
  try {
    await using file = await open(path, 'r');
    const found = await file.stat();
    // A pipe can be read once and from its beginning only: there the beginning alone says the encoding.
    const samples = found.isFile() ? await readSamples(file, found.size) : [];
    let decoder = samples.length > 0 ? new TextDecoder(findEncoding(samples)) : undefined;
    const judge = createJobLogJudge();
    let rest = '';
    const feed = (text: string): void => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      // A line without an end (a file of another kind) must not grow without bound.
      if (rest.length > 1_000_000) rest = rest.slice(0, 1_000_000);
      for (const line of lines) judge.addLine(line);
    };
    const waiting: Buffer[] = [];
    let waitingBytes = 0;
    const options = { autoClose: false, highWaterMark: 1 << 20, signal };
    // Made of a signal that is aborted already, a stream ends the process: its error has no listener yet.
    signal.throwIfAborted();
    const stream = file.createReadStream(found.isFile() ? { ...options, start: 0 } : options);
    for await (const piece of stream) {
      const chunk = piece as Buffer; // without an encoding it gives bytes
      if (decoder !== undefined) {
        feed(decoder.decode(chunk, { stream: true }));
        continue;
      }
      waiting.push(chunk);
      waitingBytes += chunk.length;
      if (waitingBytes < headBytes) continue;
      decoder = new TextDecoder(findEncoding([Buffer.concat(waiting)]));
      for (const held of waiting.splice(0)) feed(decoder.decode(held, { stream: true }));
    }
    decoder ??= new TextDecoder(findEncoding([Buffer.concat(waiting)]));
    for (const held of waiting) feed(decoder.decode(held, { stream: true }));
    feed(decoder.decode());
    if (rest !== '') judge.addLine(rest);
    return judge.finish();
  } catch (error) {
    if (signal.aborted || error instanceof ClonaError) throw error;
    throw new ClonaError('fileUnreadable', `cannot read ${path}`, { cause: error });
  }
}

const headBytes = 262_144;
const tailBytes = 65_536;

async function readSamples(file: Awaited<ReturnType<typeof open>>, size: number): Promise<Uint8Array[]> {
  const samples = [await readAt(file, 0, headBytes)];
  if (size > headBytes) samples.push(await readAt(file, Math.max(0, size - tailBytes), tailBytes));
  return samples;
}

async function readAt(
  file: Awaited<ReturnType<typeof open>>,
  position: number,
  length: number,
): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

/** The judgement for people: verdict first, then why, then the rows. */
export function describeJobLog(judgement: KnownJudgement): string {
  const lines = [`${judgement.kind}: ${judgement.verdict}`];
  lines.push(
    judgement.closing === null
      ? '  no closing line: the log is cut off or the job still runs'
      : `  closing line: ${judgement.closing}`,
  );
  for (const finding of judgement.findings.slice(0, 20)) {
    lines.push(
      `  ${finding.effect} line ${finding.line}: ${finding.meaning}${finding.text === '' ? '' : ` (${finding.text})`}`,
    );
  }
  const more = judgement.findings.length - 20 + judgement.findingsOmitted;
  if (more > 0) lines.push(`  and ${more} more`);
  const tables = Object.values(judgement.rows);
  if (tables.length > 0)
    lines.push(`  ${tables.reduce((sum, rows) => sum + rows, 0)} rows in ${tables.length} tables`);
  return lines.join('\n');
}
