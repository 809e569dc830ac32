import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ClonaError } from '../errors.ts';
import type { ChildMessage, ChildOrder } from './child.ts';
import type { SmokeFile } from './files.ts';
import type { SmokeMachine } from './machine.ts';
import type { SmokeTest } from './report.ts';

/**
 * Runs vitest files in a process of their own: a test that breaks vitest, or never ends, breaks only that. The
 * machine with its secrets goes there by IPC.
 */
export async function runVitestFiles(
  directory: string,
  files: readonly SmokeFile[],
  machine: SmokeMachine,
  onTest: (test: SmokeTest) => void,
  signal: AbortSignal,
): Promise<void> {
  if (files.length === 0) return;
  signal.throwIfAborted();
  const child = fork(fileURLToPath(new URL('./child.ts', import.meta.url)), [], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: [],
    env: childEnvironment(),
  });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  let said = '';
  const listen = (chunk: string): void => {
    said = (said + chunk).slice(-4000);
  };
  child.stdout?.setEncoding('utf8').on('data', listen);
  child.stderr?.setEncoding('utf8').on('data', listen);
  let ended: string[] | undefined;
  child.on('message', (message: ChildMessage) => {
    if (message.kind === 'end') ended = message.errors;
    else onTest(toSmokeTest(message.test, files));
  });
  try {
    const order: ChildOrder = { directory, files: files.map(({ path }) => path), machine };
    const closed = new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => resolve());
    });
    child.send(order, () => {
      // A child that is gone by now is told by `close`.
    });
    await closed;
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
  }
  signal.throwIfAborted();
  if (ended === undefined || ended.length > 0) {
    const why = ended?.join('\n') ?? (said.trim() || 'its process ended early');
    throw new ClonaError('smokeFailed', `the smoke tests in ${directory} could not be run to their end`, {
      cause: new Error(why),
    });
  }
}

function toSmokeTest(
  { file, name, state, seconds, detail }: Extract<ChildMessage, { kind: 'test' }>['test'],
  files: readonly SmokeFile[],
): SmokeTest {
  const department = files.find(({ path }) => path === file)?.department ?? 'general';
  return { department, file, name: name ?? file, kind: 'vitest', state, seconds, detail };
}

/** Without what an outer vitest, or a debugger, left for its own children. */
function childEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:VITEST|NODE_OPTIONS$|NODE_V8_COVERAGE$)/.test(name),
  );
  return Object.fromEntries(kept);
}
