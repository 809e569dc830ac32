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
    const { size } = await file.stat();
    const samples = [await readAt(file, 0, 262_144)];
    if (size > 262_144) samples.push(await readAt(file, Math.max(0, size - 65_536), 65_536));
    const decoder = new TextDecoder(findEncoding(samples));
    const judge = createJobLogJudge();
    let rest = '';
    const feed = (text: string): void => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      // A line without an end (a file of another kind) must not grow without bound.
      if (rest.length > 1_000_000) rest = rest.slice(0, 1_000_000);
      for (const line of lines) judge.addLine(line);
    };
    for await (const chunk of file.createReadStream({
      autoClose: false,
      start: 0,
      highWaterMark: 1 << 20,
      signal,
    })) {
      feed(decoder.decode(chunk as Buffer, { stream: true }));
    }
    feed(decoder.decode());
    if (rest !== '') judge.addLine(rest);
    return judge.finish();
  } catch (error) {
    if (signal.aborted || error instanceof ClonaError) throw error;
    throw new ClonaError('fileUnreadable', `cannot read ${path}`, { cause: error });
  }
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
