import type { Readable } from 'node:stream';
import { ClonaError } from '../../../../errors.ts';
import type { CommandResult, Guest } from '../../../../guest/guest.ts';

/** Scripts for the shell of a Linux guest. */
export interface GuestShell {
  shell: (script: string, stdin?: Readable) => Promise<CommandResult>;
  /** What it prints; another exit code than 0 is thrown: `diskFull` or `guestFailed`. */
  must: (script: string, stdin?: Readable) => Promise<string>;
  signal: AbortSignal;
}

/** What tools say is judged; a guest has the language of its people. */
export const inEnglish = 'export LC_ALL=C; ';

export function shellOfGuest(guest: Guest, signal: AbortSignal): GuestShell {
  const shell: GuestShell['shell'] = async (script, stdin) =>
    guest.runShell(`${inEnglish}${script}`, { signal, stdin });
  return {
    shell,
    must: async (script, stdin) => {
      const result = await shell(script, stdin);
      if (result.exitCode === 0) return result.stdout;
      const said = result.stderr.trim().slice(-500);
      throw new ClonaError(
        /No space left|quota exceeded/i.test(said) ? 'diskFull' : 'guestFailed',
        'the guest refused a file',
        { cause: new Error(said) },
      );
    },
    signal,
  };
}
