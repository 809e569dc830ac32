import { mkdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import type { CommandOptions, CommandResult, Guest } from '../../src/guest/guest.ts';
import { createHostGuest } from './host-guest.ts';

export interface WindowsHostGuest extends Guest {
  /** What PowerShell was given; it is not run. */
  scripts: string[];
}

/**
 * A Windows guest as far as its paths go: drive C: is a folder of this host, cmd.exe knows `if [not] exist`, mkdir and rd, and takes no
 * slash in a path; programs run as they are. For tests of what stands on the contract; no PowerShell runs here.
 */
export function createWindowsHostGuest(root: string): WindowsHostGuest {
  const host = createHostGuest(root);
  const here = (text: string): string =>
    text.replaceAll(/[A-Z]:[\\/][^"'\n]*/g, (path) => `${root}/${path.slice(3).replaceAll('\\', '/')}`);
  const scripts: string[] = [];
  const fine: CommandResult = { exitCode: 0, signal: null, stdout: '', stderr: '' };
  const options = ({ cwd, env = {}, stdin, ...rest }: CommandOptions): CommandOptions => ({
    ...rest,
    cwd: cwd === undefined ? undefined : here(cwd),
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, here(value)])),
    stdin: typeof stdin === 'string' ? here(stdin) : stdin,
  });
  return {
    platform: 'windows',
    scripts,
    async run(argv, given) {
      if (argv[0] !== 'cmd.exe') return host.run(argv.map(here), options(given));
      const [, word, path = '', verb, target = ''] =
        /^(if(?: not)? exist) (\S+) (mkdir|rd \/s \/q) (\S+)$/.exec(argv.slice(3).join(' ')) ?? [];
      if (word === undefined || path.includes('/') || path !== target)
        return { ...fine, exitCode: 1, stderr: 'The syntax of the command is incorrect.' };
      if (existsSync(here(path)) !== (word === 'if exist')) return fine;
      if (verb === 'mkdir') await mkdir(here(path), { recursive: true });
      else await rm(here(path), { recursive: true });
      return fine;
    },
    async runShell(script) {
      scripts.push(script);
      return Promise.resolve({ ...fine, stdout: 'done\n' });
    },
    readFile: (path, signal) => host.readFile(here(path), signal),
    writeFile: (path, content, mode, signal) => host.writeFile(here(path), content, mode, signal),
    upload: (local, path, signal) => host.upload(local, here(path), signal),
    download: (path, local, signal) => host.download(here(path), local, signal),
    list: (path, signal) => host.list(here(path), signal),
    forward: (to, signal) => host.forward(to, signal),
    [Symbol.asyncDispose]: async () => {},
  };
}
