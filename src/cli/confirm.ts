import { ClonaError } from '../errors.ts';
import type { VerbContext } from './verb.ts';

/** Asks before LIVE is changed: `--yes` answers, else the person at the terminal; without either it is not done. */
export async function confirmChange(context: VerbContext, question: string): Promise<void> {
  if (context.yes) return;
  if (process.stdin.isTTY && process.stderr.isTTY) {
    const { confirm } = await import('@clack/prompts');
    const answer = await confirm({
      message: question,
      initialValue: false,
      output: process.stderr,
      signal: context.signal,
    });
    context.signal.throwIfAborted();
    if (answer === true) return;
  }
  throw new ClonaError('confirmationMissing', 'nothing was done: it was not confirmed', {
    hint: 'confirm it with --yes',
  });
}

/** An option's text; an empty one counts as not given. */
export function textOption(options: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
