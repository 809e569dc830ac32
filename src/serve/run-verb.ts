import { spawn } from 'node:child_process';

export interface VerbOutcome {
  /** Of `clona --help`; null: it was ended by a signal. */
  exitCode: number | null;
  /** The verb's JSON document, or null when it gave none. */
  answer: unknown;
  /** The last of what it said on stderr. */
  said: string;
  startedAt: string;
  finishedAt: string;
}

export interface VerbCaller {
  /** node and the launcher. */
  command: readonly string[];
  siteFile: string;
  folder: string;
}

const keepBytes = 64 * 1024;
const answerLimitBytes = 64 * 2 ** 20;

/**
 * Runs a verb as a process of its own, as a person or cron would: what happens at night can be done by hand, locks
 * and exit codes are the same, and its memory is given back. Aborting the signal asks the verb to stop and waits.
 */
export async function runVerb(
  caller: VerbCaller,
  args: readonly string[],
  signal: AbortSignal,
): Promise<VerbOutcome> {
  const startedAt = new Date().toISOString();
  const [program = process.execPath, ...rest] = caller.command;
  const child = spawn(program, [...rest, ...args, '--site', caller.siteFile, '--json'], {
    cwd: caller.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  let stdout = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    if (stdout.length < answerLimitBytes) stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said = (said + chunk).slice(-keepBytes)));
  const exitCode = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      said += `clona cannot be started: ${error.message}\n`;
      resolve(null);
    });
    child.once('close', (code) => resolve(code));
  });
  signal.removeEventListener('abort', stop);
  return { exitCode, answer: parseAnswer(stdout), said, startedAt, finishedAt: new Date().toISOString() };
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
