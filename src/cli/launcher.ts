import { fileURLToPath } from 'node:url';

/** bin/clona.js: two folders above src/cli, three above dist/src/cli. */
export function launcherFile(): string {
  const above = import.meta.url.includes('/dist/src/cli/') ? '../../../bin/clona.js' : '../../bin/clona.js';
  return fileURLToPath(new URL(above, import.meta.url));
}
