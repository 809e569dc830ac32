import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Verb } from '../src/cli/verb.ts';
import { verbTable } from '../src/cli/verbs.ts';
import { errorTable } from '../src/errors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = ['README.md', ...listPages('docs'), ...listPages('examples')];

function listPages(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => join(folder, name));
}

const read = (page: string): string => readFileSync(join(root, page), 'utf8');

/** `#exit-codes`, as the sites that show Markdown make it of a heading. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the pages', () => {
  test.each(pages)('%s links to nothing that is not there', (page) => {
    const broken: string[] = [];
    const text = read(page).replaceAll(/```[\s\S]*?```/g, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target === undefined || /^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : relative(root, join(root, dirname(page), path));
      if (!existsSync(join(root, file))) broken.push(target);
      else if (anchor !== undefined && !anchorsOf(file).includes(anchor)) broken.push(target);
    }
    expect(broken).toEqual([]);
  });

  test('explain every rule from R1 to R23', () => {
    const theory = read('docs/recovery-theory.md');
    for (let rule = 1; rule <= 23; rule += 1) expect(theory).toContain(`**R${rule}`);
  });

  test('list every exit code', () => {
    const text = read('docs/ARCHITECTURE.md');
    for (const { exit } of Object.values(errorTable))
      expect(text).toMatch(new RegExp(`^\\| .*\\b${exit}\\b`, 'm'));
  });

  test('have decisions with a number of their own', () => {
    const numbers = readdirSync(join(root, 'docs/decisions')).map((name) => name.slice(0, 4));
    expect(numbers.filter((number) => !/^\d{4}$/.test(number))).toEqual([]);
    expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([]);
  });
});

describe.each(Object.keys(verbTable))('the verb %s', (name) => {
  const load = async (): Promise<Verb> => {
    const row = verbTable[name];
    if (row === undefined) throw new Error(`no row ${name}`);
    return (await row.load()).verb;
  };

  test('has examples that call it', async () => {
    const { examples } = await load();
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(example).toContain(`clona ${name}`);
  });

  test('is in the README and explained in docs/verbs.md', () => {
    expect(read('README.md')).toContain(`\`${name}\``);
    expect(read('docs/verbs.md')).toContain(`\`clona ${name}`);
  });
});

describe('the table of errors', () => {
  const rows = Object.entries(errorTable);

  test('gives every error a code of its own', () => {
    const codes = rows.map(([, { code }]) => code as string);
    expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([]);
    for (const code of codes) expect(code).toMatch(/^CLONA-\d{4}$/);
  });

  test('is the only place where codes are born', () => {
    const born = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== 'errors.ts')
      .filter((file) => /['"`]CLONA-\d{4}/.test(readFileSync(join(root, 'src', file), 'utf8')));
    expect(born).toEqual([]);
  });
});
