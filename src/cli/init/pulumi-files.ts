import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PlannedFile } from './write.ts';

/**
 * What `pulumi up` needs beside an installed clona: the same stack, state and provider as clona's own verbs.
 * `folder` is where the files go; paths to clona are relative, so that the folder can be checked out elsewhere.
 */
export function pulumiFiles(folder: string, live: string): PlannedFile[] {
  return [
    { path: 'Pulumi.yaml', content: projectText(folder) },
    { path: 'staging.mjs', content: programText(folder, live) },
  ];
}

function projectText(folder: string): string {
  const provider = pathFrom(folder, '../../../infra/local-provider');
  return [
    '# `pulumi up` in this folder makes the LIVE STAGING machine that clona refreshes. Policies for it:',
    `# pulumi up --policy-pack ${pathFrom(folder, '../../../infra/policy')}`,
    'name: clona',
    'description: LIVE STAGING as code, an isolated clone of the production machine',
    'runtime:',
    '  name: nodejs',
    '  options:',
    '    typescript: false',
    'main: staging.mjs',
    'backend:',
    "  # The same state as clona's own verbs; PULUMI_BACKEND_URL or `pulumi login` choose another.",
    '  url: file://./.clona/pulumi?create_dir=true',
    'plugins:',
    '  providers:',
    '    - name: clona-local',
    `      path: ${JSON.stringify(provider)}`,
    '',
  ].join('\n');
}

function programText(folder: string, live: string): string {
  return [
    '// Settings come from `pulumi config`; docs/how-to/pulumi.md of clona lists the keys. For a stack of your own',
    "// shape, use the component itself: new LiveStaging('staging', { platform: 'local', source, local: { root } }).",
    `import { createStagingByConfig } from ${JSON.stringify(moduleName(folder))};`,
    '',
    'export const { machine, sshEndpoint, hostKey, database, createdAt, expiresAt } =',
    `  createStagingByConfig({ source: ${JSON.stringify(live)} });`,
    '',
  ].join('\n');
}

/** `clona` where npm installed it for this folder; else this very copy, by its path. */
function moduleName(folder: string): string {
  try {
    const found = createRequire(join(folder, 'staging.mjs')).resolve('clona/package.json');
    if (realpathSync(join(found, '..')) === realpathSync(fileURLToPath(packageRoot()))) return 'clona';
  } catch {
    // not installed there
  }
  return pathFrom(folder, import.meta.url.endsWith('.ts') ? '../../../infra/program.ts' : '../../index.js');
}

/** From src/cli/init it is three folders up, from dist/src/cli/init four. */
function packageRoot(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? '../../../' : '../../../../', import.meta.url);
}

function pathFrom(folder: string, target: string): string {
  const path = relative(realpath(folder), fileURLToPath(new URL(target, import.meta.url))).replaceAll(
    sep,
    '/',
  );
  return path.startsWith('.') ? path : `./${path}`;
}

function realpath(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // not made yet
  }
}
