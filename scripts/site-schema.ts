import { writeFile } from 'node:fs/promises';
import { siteJsonSchemaText } from '../src/site/parse.ts';

/** Writes the JSON Schema of clona.yaml for editors: node scripts/site-schema.ts */
await writeFile(new URL('../docs/clona.schema.json', import.meta.url), siteJsonSchemaText());
