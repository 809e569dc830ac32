import { describe, expect, test } from 'vitest';
import { examples } from '../../src/cli/init/examples.ts';
import { parseSite, siteJsonSchema } from '../../src/site/parse.ts';
import { defaultAnswers, siteFileText } from '../../src/site/template.ts';
import type { SiteAnswers } from '../../src/site/answers.ts';

const everything: SiteAnswers = {
  ...defaultAnswers,
  platform: 'vsphere',
  live: 'yes',
  databaseUrl: 'env:ERP_URL',
  mirror: '/mnt/b: c/archive',
  dba: '007',
  kitSource: 'https://vendor.example.com/kit.zip?a=#b',
  businessCounts: [{ name: 'a "quoted" one', sql: "select 'x: #' -- y\nfrom t" }],
  departments: [{ name: 'Prodaja & Žene (Nord)', keyUsers: ['@anna', 'a, b'], checks: ['- try: it'] }],
  masking: ['masking/1 people.sql'],
};

function read(answers: SiteAnswers) {
  const parsed = parseSite(siteFileText(answers), '/site');
  if ('mistakes' in parsed) throw new Error(JSON.stringify(parsed.mistakes));
  return parsed.site;
}

/** Every key of the schema: `archive.zone.yellow`. */
function keysOf(schema: unknown, at = ''): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  if ('items' in schema) return keysOf(schema.items, `${at}[]`);
  const properties = 'properties' in schema ? Object.entries(schema.properties ?? {}) : [];
  return properties.flatMap(([key, next]) => {
    const path = at === '' ? key : `${at}.${key}`;
    return [path, ...keysOf(next, path)];
  });
}

describe('the site file that init writes', () => {
  test.each([['the defaults', defaultAnswers], ...Object.entries(examples), ['awkward words', everything]])(
    'is valid as it stands: %s',
    (_, answers) => {
      expect(read(answers).name).toBe(answers.name);
    },
  );

  test('carries what was answered through YAML unchanged', () => {
    const site = read(everything);
    expect(site.machines.live.name).toBe('yes');
    expect(site.archive.mirror).toBe('/mnt/b: c/archive');
    expect(site.dba.name).toBe('007');
    expect(site.kit.source).toBe(everything.kitSource);
    expect(site.database.businessCounts).toEqual(everything.businessCounts);
    expect(site.departments[0]).toMatchObject(everything.departments[0] ?? {});
    expect(site.staging.masking).toEqual(['/site/masking/1 people.sql']);
  });

  test('names every key there is, in its place, at least as a comment', () => {
    const uncommented = siteFileText(defaultAnswers)
      .split('\n')
      .filter((line) => !/yaml-language-server|url: env:ERP|# datastoreCluster:|# host: esx0/.test(line))
      .map(uncomment)
      .join('\n')
      .replaceAll('SHA256:…', `SHA256:${'A'.repeat(43)}`)
      .replace('sha256: …', `sha256: ${'a'.repeat(64)}`);
    expect(parseSite(uncommented, '/site')).not.toHaveProperty('mistakes');
    const text = siteFileText(defaultAnswers);
    const missing = keysOf(siteJsonSchema()).filter(
      (path) => !new RegExp(`(?:^|[ {])${path.split('.').at(-1) ?? ''}:`, 'm').test(text),
    );
    expect(missing).toEqual([]);
  });
});

function uncomment(line: string): string {
  let bare = line;
  while (/^\s*# (?:\s*[a-zA-Z0-9]+:|\s*- |\s*# )/.test(bare)) bare = bare.replace('# ', '');
  return bare;
}
