import type { Command } from 'commander';
import type { ExitCode } from '../errors.ts';
import type { OnProgress } from '../progress.ts';

/** What every verb is given. */
export interface VerbContext {
  /** Aborted by SIGINT and SIGTERM; a verb stops at the next safe place and leaves nothing half done. */
  signal: AbortSignal;
  json: boolean;
  yes: boolean;
  verbose: boolean;
  /** Path of the site file, as given by `--site`, else `clona.yaml`. */
  sitePath: string;
  /** Progress goes to stderr. */
  onProgress: OnProgress;
  /** One line to stderr, whatever the output format. */
  note: (line: string) => void;
}

export interface VerbResult {
  /** The one document of `--json`. */
  json: unknown;
  /** What people read; printed to stdout without `--json`. */
  human: string;
  /** Default 0. Verbs answer with a code where the answer itself is the news (5 unreachable, 3 closed …). */
  exitCode?: ExitCode;
}

export type OptionValues = Readonly<Record<string, unknown>>;

export interface Verb {
  /** Arguments and options on top of the common ones. */
  configure: (command: Command) => void;
  examples: readonly string[];
  /** Exit codes this verb can end with, beside 0, 1, 2, 130 and 143. */
  exits: Readonly<Partial<Record<ExitCode, string>>>;
  /** True: this call changes nothing, so a signal ends it at once, whatever it waits for. Default: false. */
  changesNothing?: (options: OptionValues, args: readonly string[]) => boolean;
  run: (context: VerbContext, options: OptionValues, args: readonly string[]) => Promise<VerbResult>;
}
