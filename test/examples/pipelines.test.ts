import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { verbTable } from '../../src/cli/verbs.ts';

const folder = new URL('../../examples/pipelines/', import.meta.url);

async function commandsOf(file: string): Promise<string[][]> {
  const text = await readFile(new URL(file, folder), 'utf8');
  const found = text.matchAll(/(?:^|[\s'])clona ((?:"[^"]*"|[^'\n>#])+)/gm);
  return [...found]
    .filter(([whole]) => !whole.includes('`'))
    .map(([, words = '']) => words.trim().match(/"[^"]*"|\S+/g) ?? [])
    .filter(([verb]) => verb !== undefined && Object.hasOwn(verbTable, verb));
}

test.for(['github-actions.yml', 'gitlab-ci.yml', 'Jenkinsfile'])(
  'every step of %s is a verb with options that it has',
  async (file) => {
    const commands = await commandsOf(file);
    expect(commands.map(([verb]) => verb)).toEqual(
      expect.arrayContaining(['refresh', 'release', 'promote', 'evidence']),
    );
    for (const [name = '', ...args] of commands) {
      const { verb } = await verbTable[name]!.load();
      const command = new Command(name).exitOverride().configureOutput({ writeErr: () => {} });
      verb.configure(command);
      command
        .option('--site <file>')
        .option('--json')
        .option('--yes')
        .action(() => {});
      await command.parseAsync(args, { from: 'user' });
    }
  },
);

test('the files of GitHub and GitLab are YAML in which LIVE waits for a person', async () => {
  const github = parse(await readFile(new URL('github-actions.yml', folder), 'utf8')) as {
    jobs: Record<string, { needs?: string; environment?: string }>;
  };
  expect(github.jobs['live']).toMatchObject({ needs: 'staging', environment: 'live' });
  const gitlab = parse(await readFile(new URL('gitlab-ci.yml', folder), 'utf8')) as {
    live: { rules: { when?: string }[] };
  };
  expect(gitlab.live.rules).toEqual([{ if: '$KIT', when: 'manual' }]);
});
