import type { Readable, Writable } from 'node:stream';
import { ClonaError } from '../../errors.ts';
import type { SiteAnswers } from '../../site/answers.ts';

export interface Terminal {
  input?: Readable;
  output?: Writable;
  signal: AbortSignal;
}

/** Asks for what only people know; Enter takes what is proposed. Throws `interrupted` on Ctrl-C. */
export async function askQuestions(proposed: SiteAnswers, terminal: Terminal): Promise<SiteAnswers> {
  const { select, text } = await import('@clack/prompts');
  const answered = <Answer extends string>(answer: Answer | symbol): Answer => {
    if (typeof answer === 'string') return answer;
    throw terminal.signal.aborted ? terminal.signal.reason : new ClonaError('interrupted', 'interrupted');
  };
  const line = async (
    message: string,
    initialValue: string,
    pattern?: RegExp,
    wanted?: string,
  ): Promise<string> =>
    answered(
      await text({
        ...terminal,
        message,
        defaultValue: initialValue,
        placeholder: initialValue,
        validate: (value) => (value && pattern && !pattern.test(value) ? wanted : undefined),
      }),
    ).trim();

  const name = await line(
    'Name of this site?',
    proposed.name,
    /^[a-z][a-z0-9-]{0,39}$/,
    'small letters, digits and "-", up to 40',
  );
  const platform = answered<'local' | 'vsphere'>(
    await select({
      ...terminal,
      message: 'Where do the machines run?',
      initialValue: proposed.platform,
      options: [
        { value: 'local', label: 'on this host' },
        { value: 'vsphere', label: 'on vSphere' },
      ],
    }),
  );
  const live = await line('Name of the production machine?', proposed.live);
  const engine = answered<'postgres' | 'oracle'>(
    await select({
      ...terminal,
      message: 'Which database engine?',
      initialValue: proposed.engine,
      options: [
        { value: 'postgres', label: 'PostgreSQL' },
        { value: 'oracle', label: 'Oracle' },
      ],
    }),
  );
  const variable = await line(
    'Environment variable with its address (postgresql://user:password@host/name); "-": the database is on the machine',
    proposed.databaseUrl?.replace('env:', '') ?? '-',
    /^(?:-|[A-Za-z_]\w*)$/,
    'the name of a variable, never the address itself',
  );
  const archive = await line('Folder of the archive, on another disk than the database?', proposed.archive);
  const mirror = await line('Folder of its mirror, on a third disk? "-": none', proposed.mirror ?? '-');
  const departments = await line(
    'Departments that must confirm a release, with commas between; "-": none',
    '-',
  );
  return {
    ...proposed,
    name,
    platform,
    live,
    engine,
    databaseUrl: variable === '-' ? undefined : `env:${variable}`,
    archive,
    mirror: mirror === '-' ? undefined : mirror,
    departments: departments === '-' ? proposed.departments : splitNames(departments).map(toDepartment),
  };
}

/** Without a comma every word is one, as "sales accounting" is meant. */
function splitNames(answer: string): string[] {
  const words = answer.includes(',') ? answer.split(',') : answer.split(/\s+/);
  return words.map((word) => word.trim()).filter((word) => word !== '');
}

/** What the site file does not take becomes a dash. */
function toDepartment(word: string): SiteAnswers['departments'][number] {
  const name = word
    .normalize('NFC')
    .replaceAll(/[^\p{L}\p{M}\p{N} _.&+()/-]/gu, '-')
    .replace(/^[^\p{L}\p{N}]+/u, '')
    .slice(0, 60)
    .replace(/[^\p{L}\p{M}\p{N}.)]+$/u, '');
  return { name: name === '' ? 'department' : name, keyUsers: [], checks: [] };
}
