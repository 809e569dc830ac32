import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ClonaError, toClonaError, type ExitCode } from '../errors.ts';
import { nearestWord } from '../site/nearest-word.ts';
import { printProgress } from './progress.ts';
import { printable } from './printable.ts';
import type { OptionValues, Verb, VerbContext } from './verb.ts';
import { verbTable } from './verbs.ts';

/** Runs one command line (without node and script) and sets process.exitCode. Never throws, never calls exit. */
export async function main(argv: readonly string[]): Promise<void> {
  const stop = new AbortController();
  const release = abortOnSignals(stop);
  const tell = (thrown: unknown): ExitCode =>
    report(
      stop.signal.aborted ? stop.signal.reason : thrown,
      argv.includes('--json'),
      argv.includes('--verbose'),
    );
  try {
    const exitCode = await runCommandLine(verbFirst(argv), stop.signal);
    // Whoever asked for the end gets the code of an end, although the answer was there first.
    process.exitCode = stop.signal.aborted ? toClonaError(stop.signal.reason).exitCode : exitCode;
  } catch (thrown) {
    process.exitCode = tell(thrown);
  } finally {
    release();
  }
}

/** `clona --json plan …` and `clona help plan` mean `clona plan --json …` and `clona plan --help`. */
function verbFirst(argv: readonly string[]): string[] {
  const [first, second, ...rest] = argv;
  if (first === 'help') return second === undefined ? ['--help'] : [second, '--help', ...rest];
  const at = argv.findIndex((word, index) => !word.startsWith('-') && argv[index - 1] !== '--site');
  const verb = argv[at];
  return verb === undefined ? [...argv] : [verb, ...argv.slice(0, at), ...argv.slice(at + 1)];
}

async function runCommandLine(argv: readonly string[], signal: AbortSignal): Promise<ExitCode> {
  const program = createProgram();
  let exitCode: ExitCode = 0;
  const called = argv.find((word) => !word.startsWith('-'));
  if (called !== undefined && !Object.hasOwn(verbTable, called)) throw noSuchVerb(called);
  for (const [name, row] of Object.entries(verbTable)) {
    const command = program.command(name).summary(row.summary).description(row.summary);
    if (name === called) {
      const { verb } = await row.load();
      prepareVerb(
        command,
        verb,
        async (context, options, args) => {
          const running = verb.run(context, options, args);
          const result = await (verb.changesNothing?.(options, args) === true
            ? Promise.race([running, rejectOnAbort(signal)])
            : running);
          if (context.json) await print(`${JSON.stringify(result.json)}\n`);
          else if (result.human !== '') await print(`${printable(result.human)}\n`);
          exitCode = result.exitCode ?? 0;
        },
        signal,
      );
    }
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new ClonaError('usage', error.message.replace(/^error: /, ''), {
      hint: `see: clona ${called === undefined ? '' : `${called} `}--help`,
    });
  }
  return exitCode;
}

/** Opening a pipe that nobody writes to cannot be interrupted; waiting for it can. */
async function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function noSuchVerb(called: string): ClonaError {
  const near = nearestWord(called, Object.keys(verbTable));
  return new ClonaError('usage', `there is no verb "${called}"`, {
    hint: near === undefined ? 'see: clona --help' : `did you mean "${near}"? see: clona --help`,
  });
}

function createProgram(): Command {
  return new Command('clona')
    .description(
      'clones production into LIVE STAGING, proves the archive there, and opens the gate to LIVE only on proof',
    )
    .version(readVersion(), '--version', 'print the version')
    .helpOption('--help', 'explain a verb')
    .configureOutput({ writeErr: () => {} })
    .exitOverride()
    .showHelpAfterError(false)
    .action(function (this: Command) {
      this.outputHelp();
    });
}

function prepareVerb(
  command: Command,
  verb: Verb,
  run: (context: VerbContext, options: OptionValues, args: readonly string[]) => Promise<void>,
  signal: AbortSignal,
): void {
  verb.configure(command);
  command
    .option('--site <file>', 'the site file', 'clona.yaml')
    .option('--json', 'one JSON document on stdout', false)
    .option('--yes', 'do it without asking', false)
    .option('--verbose', 'show causes and stack traces', false)
    .helpOption('--help', 'explain this verb')
    .addHelpText('after', helpTail(verb))
    .exitOverride()
    .action(async () => {
      const options = command.opts<OptionValues>();
      refuseEmptyValues(command, options);
      await run(
        {
          signal,
          json: options['json'] === true,
          yes: options['yes'] === true,
          verbose: options['verbose'] === true,
          sitePath: String(options['site']),
          onProgress: printProgress(process.stderr),
          note: (line) => process.stderr.write(`${printable(line)}\n`),
        },
        options,
        command.args,
      );
    });
}

/** An unset variable of a script must not mean "this folder", "the newest" or "no hash wanted". */
function refuseEmptyValues(command: Command, options: OptionValues): void {
  const mayBeEmpty = ['comment'];
  for (const option of command.options) {
    const name = option.attributeName();
    const value = options[name];
    const isEmpty = value === '' || (Array.isArray(value) && value.includes(''));
    if (!isEmpty || mayBeEmpty.includes(name)) continue;
    throw new ClonaError('usage', `${option.long} is empty`, {
      hint: 'leave the option out, or give it a value: is a variable of a script unset?',
    });
  }
}

function helpTail(verb: Verb): string {
  const exits = {
    0: 'done',
    1: 'internal error',
    2: 'usage or configuration',
    ...verb.exits,
    130: 'interrupted',
    143: 'terminated',
  };
  const lines = Object.entries(exits).map(([code, meaning]) => `  ${code.padStart(3)}  ${meaning}`);
  return `\nExamples:\n${verb.examples.map((line) => `  ${line}`).join('\n')}\n\nExit codes:\n${lines.join('\n')}`;
}

/** stdout may be a pipe: wait until it took everything. A reader that went away (`| head`) has what it wanted. */
async function print(text: string): Promise<void> {
  const ignore = (): void => {};
  process.stdout.on('error', ignore);
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error && !isBrokenPipe(error) ? reject(error) : resolve()));
  });
  process.stdout.off('error', ignore);
}

function isBrokenPipe(error: Error): boolean {
  return 'code' in error && error.code === 'EPIPE';
}

function report(thrown: unknown, json: boolean, verbose: boolean): ExitCode {
  const error = toClonaError(thrown);
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) causes.push(cause.message);
  const tell = (line: string): void => void process.stderr.write(`${printable(line)}\n`);
  tell(`clona: ${error.message} [${error.code}]`);
  for (const line of detailLines(error.details?.['lines'])) tell(`  ${line}`);
  for (const cause of causes) if (cause !== error.message) tell(`  because: ${cause}`);
  if (error.hint !== undefined) tell(`  hint: ${error.hint}`);
  if (verbose && error.stack !== undefined) tell(error.stack);
  if (json) {
    const { code, message, hint, details, exitCode } = error;
    process.stdout.write(`${JSON.stringify({ error: { code, message, hint, details, exitCode } })}\n`);
  }
  return error.exitCode;
}

/** Errors that consist of several, as the mistakes of a site file, carry them as `details.lines`. */
function detailLines(lines: unknown): readonly string[] {
  return Array.isArray(lines) ? lines.map(String) : [];
}

/** The first signal asks the verb to stop at its next safe place; the second one of a kind ends it at once. */
function abortOnSignals(stop: AbortController): () => void {
  const onSignal = (name: NodeJS.Signals): void => {
    const reason =
      name === 'SIGINT'
        ? new ClonaError('interrupted', 'interrupted')
        : new ClonaError('terminated', 'terminated');
    if (stop.signal.aborted) endBySignal(name);
    stop.abort(reason);
  };
  const endBySignal = (name: NodeJS.Signals): void => {
    // The signal itself ends also a process that waits for a disk or a pipe; process.exit() would wait with it.
    process.off(name, onSignal);
    process.kill(process.pid, name);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
}

function readVersion(): string {
  // From src/cli as well as from dist/src/cli the nearest package.json upwards is clona's own.
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version);
    } catch {
      // look one folder further up
    }
  }
  return 'unknown';
}
