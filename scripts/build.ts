import { spawnSync } from 'node:child_process';
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Builds what is published: dist/ holds JavaScript and declarations, because Node.js strips no types under
 * node_modules, and beside them everything that is not TypeScript, at the same relative places.
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

await rm(dist, { recursive: true, force: true });
const tsc = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (tsc.status !== 0) throw new Error(`tsc ended with ${tsc.status ?? tsc.signal}`);
await rewriteSourceUrls();
// The examples' own sources are what `clona init --from-example` writes for people.
await copyTree('examples', () => true);
for (const folder of ['src', 'infra']) {
  // Here the program itself has the name of the file that says which Node.js a checkout needs.
  await copyTree(folder, (path) => !path.endsWith('.ts') && path !== join(root, 'infra/index.js'));
}
await copyTree('tools', (path) => /go\.(?:mod|sum)$/.test(path));

/**
 * tsc rewrites the imports of JavaScript only. `new URL('./worker.ts', import.meta.url)` names a file that is
 * worker.js here, and declarations are given the endings that every setting of TypeScript accepts.
 */
async function rewriteSourceUrls(): Promise<void> {
  for (const path of await listFiles(dist)) {
    const text = await readFile(path, 'utf8');
    const rewritten = path.endsWith('.d.ts')
      ? text.replaceAll(/((?:from |import\()['"]\.{1,2}\/[^'"]+)\.ts(['"])/g, '$1.js$2')
      : text.replaceAll(/(new URL\(\s*['"]\.{1,2}\/[^'"]+)\.ts(['"],\s*import\.meta\.url)/g, '$1.js$2');
    if (rewritten !== text) await writeFile(path, rewritten);
  }
}

async function copyTree(folder: string, wanted: (path: string) => boolean): Promise<void> {
  for (const path of await listFiles(join(root, folder))) {
    if (!wanted(path)) continue;
    const target = join(dist, path.slice(root.length));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(path, target);
    await chmod(target, (await stat(path)).mode & 0o777);
  }
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && !/(?:^|\/)(?:node_modules|\.clona)(?:\/|$)/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
