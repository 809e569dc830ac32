import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { siteJsonSchema, siteJsonSchemaText } from '../../src/site/parse.ts';

test('docs/clona.schema.json is what scripts/site-schema.ts writes', async () => {
  const published = await readFile(new URL('../../docs/clona.schema.json', import.meta.url), 'utf8');
  expect(published).toBe(siteJsonSchemaText());
});

test('every key of the site file says what it is for', () => {
  const silent: string[] = [];
  const visit = (schema: unknown, at: string): void => {
    if (typeof schema !== 'object' || schema === null) return;
    if ('properties' in schema && typeof schema.properties === 'object' && schema.properties !== null) {
      for (const [key, next] of Object.entries(schema.properties)) {
        const described = typeof next === 'object' && next !== null && 'description' in next;
        if (!described) silent.push(`${at}.${key}`);
        visit(next, `${at}.${key}`);
      }
    }
    if ('items' in schema) visit(schema.items, `${at}[]`);
  };
  visit(siteJsonSchema(), 'clona.yaml');
  expect(silent).toEqual([]);
});
