import {
  findJobLogKind,
  type JobLogKind,
  type KindClues,
  createKindClues,
  noteKindClues,
} from './job-log-kind.ts';
import {
  findCode,
  findSchema,
  isRmanClosing,
  looksLikeClosing,
  parseJobLine,
  parseOriginalClosing,
  parseOriginalRow,
  parsePumpRow,
  stripPrefix,
} from './job-log-lines.ts';
import { JobLogGroups, type JobLogFinding } from './job-log-groups.ts';
import { RowCounts } from './job-log-rows.ts';
import { parseRequest, type JobRequest } from './job-log-request.ts';
import { RmanFacts } from './job-log-rman.ts';

export type { JobLogKind } from './job-log-kind.ts';
export type { JobLogFinding } from './job-log-groups.ts';
export type JobLogVerdict = 'ok' | 'warning' | 'failed' | 'incomplete';

/** The judgement of one log (R15). `kind` null: this is not the log of one of the five tools. */
export interface JobLogJudgement {
  kind: JobLogKind | null;
  verdict: JobLogVerdict;
  /** Every code that reports something, once, in order of appearance, with five digits. */
  errors: string[];
  /** Rows by "SCHEMA.TABLE"; partitions are summed into their table. */
  rows: Record<string, number>;
  /** Why the verdict: at most 200, the first of each code among them. */
  findings: JobLogFinding[];
  findingsOmitted: number;
  closing: string | null;
}

/** Judges the whole text of a job log, in any language of the tools. Pure; reads 100 MB in seconds. */
export function judgeJobLog(text: string): JobLogJudgement {
  const judge = createJobLogJudge();
  for (let start = 0; start < text.length;) {
    let end = text.indexOf('\n', start);
    if (end === -1) end = text.length;
    judge.addLine(text.slice(start, end));
    start = end + 1;
  }
  return judge.finish();
}

export interface JobLogJudge {
  /** One line without its line feed; a carriage return or a byte order mark does no harm. */
  addLine: (line: string) => void;
  finish: () => JobLogJudgement;
}

/** The judge for logs that are read as a stream. */
export function createJobLogJudge(): JobLogJudge {
  const state = createState();
  return {
    addLine: (line) => {
      // Data values of rejected rows may be as long as a LOB; no line of the tools is.
      const cut = line.length > 8000 ? line.slice(0, 8000) : line;
      readLine(
        state,
        stripPrefix(
          cut
            .replace(/^\ufeff/, '')
            .replaceAll('\r', '')
            .replace(/^;;; ?/, ''),
        ),
      );
    },
    finish: () => conclude(state),
  };
}

interface JudgeState {
  clues: KindClues;
  groups: JobLogGroups;
  rows: RowCounts;
  rman: RmanFacts;
  request: JobRequest | null;
  job: string | null;
  closing: { text: string; failed: boolean; saysProblems: boolean } | null;
  stopped: boolean;
  runOpen: boolean;
  earlierRunOpen: boolean;
  inStartLine: boolean;
  lineNumber: number;
  lastLine: string;
  sections: number;
}

function createState(): JudgeState {
  return {
    clues: createKindClues(),
    groups: new JobLogGroups(),
    rows: new RowCounts(),
    rman: new RmanFacts(),
    request: null,
    job: null,
    closing: null,
    stopped: false,
    runOpen: false,
    earlierRunOpen: false,
    inStartLine: false,
    lineNumber: 0,
    lastLine: '',
    sections: 0,
  };
}

function readLine(state: JudgeState, line: string): void {
  state.lineNumber += 1;
  if (line.trim() === '') return;
  const banner = noteKindClues(state.clues, line);
  if (banner) openRun(state);
  const code = findCode(line);
  if (code !== null) {
    state.groups.addCode(code, line, state.lineNumber, {
      closed: state.closing !== null,
      isRman: findJobLogKind(state.clues) === 'rman',
      inStack: state.rman.noteCode(code),
    });
    if (/^(?:EXP|IMP)-00000$/.test(code)) close(state, line, true, false);
  } else if (!readJobLine(state, line) && !readRow(state, line)) {
    readOther(state, line);
  }
  state.lastLine = line;
}

function openRun(state: JudgeState): void {
  if (state.runOpen && state.closing === null) state.earlierRunOpen = true;
  state.runOpen = true;
  state.closing = null;
}

function close(state: JudgeState, text: string, failed: boolean, saysProblems: boolean): void {
  state.groups.endGroup();
  state.closing = { text: text.trim(), failed, saysProblems };
}

function readJobLine(state: JudgeState, line: string): boolean {
  if (state.inStartLine && /^[^"\s]*\S*\w+=/.test(line.trim()) && state.request !== null) {
    state.request = parseRequest(`${state.request.text} ${line.trim()}`);
    return true;
  }
  state.inStartLine = false;
  const jobLine = parseJobLine(line, state.job);
  if (jobLine === null) return false;
  state.groups.endGroup();
  switch (jobLine.kind) {
    case 'start':
      if (state.stopped && state.job === jobLine.job) state.groups.forgiveStop();
      state.stopped = false;
      state.job = jobLine.job;
      state.closing = null;
      state.request ??= parseRequest(line);
      state.inStartLine = true;
      break;
    case 'reopen':
      state.closing = null;
      break;
    case 'stop':
      state.stopped = true;
      close(state, line, true, false);
      break;
    case 'close':
      close(state, line, false, jobLine.saysErrors);
      break;
  }
  return true;
}

function readRow(state: JudgeState, line: string): boolean {
  const pumped = parsePumpRow(line);
  if (pumped !== null) {
    state.groups.endGroup();
    state.rows.add(pumped.table, pumped.partition, pumped.rows);
    if (pumped.rejected > 0) {
      state.groups.report(
        'failed',
        `${pumped.rejected} rows of ${pumped.table} were rejected`,
        line,
        state.lineNumber,
      );
    }
    return true;
  }
  const original = parseOriginalRow(line);
  if (original !== null) {
    state.groups.endGroup();
    state.rows.addOriginal(original, state.lineNumber);
    return true;
  }
  return state.rows.addLateCount(line);
}

function readOther(state: JudgeState, line: string): void {
  if (state.groups.readBody(line)) return;
  const rman = state.rman.readLine(line);
  if (rman !== null) state.groups.report(rman.verdict, rman.meaning, line, state.lineNumber);
  if (isRmanClosing(line)) {
    close(state, line, false, false);
    return;
  }
  const original = parseOriginalClosing(line);
  if (original !== null && findJobLogKind(state.clues) !== 'rman') {
    close(state, line, original.failed, original.saysWarnings);
    return;
  }
  if (/^\s*\.\s/.test(line)) state.sections += 1;
  const schema = findSchema(line);
  if (schema !== null) state.rows.setSchema(schema);
}

function conclude(state: JudgeState): JobLogJudgement {
  const kind = findJobLogKind(state.clues);
  const isOriginal = kind === 'exp' || kind === 'imp';
  if (isOriginal && state.closing === null && state.sections > 2 && looksLikeClosing(state.lastLine)) {
    close(state, state.lastLine, false, false);
  }
  state.groups.finish({
    metadataOnly: state.request?.metadataOnly === true,
    opened: state.rman.openedAfterUnknownLog,
    hasTable: (name) => state.rows.hasTable(name),
  });
  if (state.closing !== null) reportMissing(state, kind);
  const { failed, warning, fatal } = state.groups;
  const verdict = decide();
  return {
    kind,
    verdict,
    errors: state.groups.codes,
    rows: state.rows.toRecord(),
    findings: state.groups.findings,
    findingsOmitted: state.groups.omitted,
    closing: state.closing?.text ?? null,
  };

  function decide(): JobLogVerdict {
    if (fatal || state.closing?.failed === true) return 'failed';
    if (state.closing === null || state.earlierRunOpen) return 'incomplete';
    if (failed) return 'failed';
    return warning || state.closing.saysProblems ? 'warning' : 'ok';
  }
}

/** What was asked for and does not appear although the closing line came. */
function reportMissing(state: JudgeState, kind: JobLogKind | null): void {
  for (const { name, line } of state.rows.uncounted(kind)) {
    state.groups.report('failed', `no row count for table ${name}`, '', line);
  }
  for (const table of state.request?.tables ?? []) {
    if (!state.rows.hasTable(table)) {
      state.groups.report(
        'failed',
        `table ${table} was asked for and is not in the log`,
        '',
        state.lineNumber,
      );
    }
  }
}
