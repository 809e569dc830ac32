import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';
import { hashTree } from './hash.ts';
import { manifestFile, type KitManifest, type KitStep } from './manifest.ts';
import { parseManifest, type KitProblem } from './read-manifest.ts';
import { checkSqlPlusScript } from './sqlplus-text.ts';
import { checkSqlText } from './sql-text.ts';
import { readTree, type Tree } from './tree.ts';

export interface KitCheck {
  ok: boolean;
  hash: string;
  files: number;
  bytes: number;
  manifest: KitManifest | null;
  problems: KitProblem[];
  warnings: string[];
}

/** A kit whose folder is checked, hashed and ready to be applied. */
export interface Kit {
  directory: string;
  manifest: KitManifest;
  hash: string;
  files: number;
  bytes: number;
  warnings: string[];
}

/** Everything that can be said of a kit without a machine. Throws `kitInvalid` only for what cannot be hashed. */
export async function checkKit(directory: string, signal: AbortSignal): Promise<KitCheck> {
  const tree = await readTree(await existingFolder(directory), signal);
  const { hash, files, bytes } = await hashTree(tree, signal);
  const about = { hash, files, bytes };
  const warnings = [...tree.warnings];
  if (!tree.entries.some(({ path, link }) => path === manifestFile && link === undefined)) {
    const problems = [
      { file: manifestFile, line: null, message: 'is missing: a kit has it in its topmost folder' },
    ];
    return { ok: false, ...about, manifest: null, problems, warnings };
  }
  const parsed = parseManifest(await readFile(join(directory, manifestFile), 'utf8'));
  if ('problems' in parsed)
    return { ok: false, ...about, manifest: null, problems: parsed.problems, warnings };
  const { manifest } = parsed;
  if (manifest.fromVersions.length === 0) {
    warnings.push('kit.yaml names no fromVersions: the kit installs over any version');
  }
  const problems: KitProblem[] = [];
  for (const step of manifest.steps) problems.push(...(await checkStep(step, tree, warnings)));
  return { ok: problems.length === 0, ...about, manifest, problems, warnings };
}

async function existingFolder(directory: string): Promise<string> {
  const found = await stat(directory).catch(() => undefined);
  if (found?.isDirectory()) return directory;
  throw new ClonaError(
    'kitInvalid',
    found === undefined ? `there is no kit at ${directory}` : `${directory} is no folder`,
  );
}

async function checkStep(step: KitStep, tree: Tree, warnings: string[]): Promise<KitProblem[]> {
  const problem = (message: string, file = manifestFile, line: number | null = null): KitProblem[] => [
    { file, line, message: file === manifestFile ? `step "${step.name}": ${message}` : message },
  ];
  const isFile = (path: string): boolean => tree.entries.some((entry) => entry.path === path);
  switch (step.kind) {
    case 'sql': {
      if (!isFile(step.file)) return problem(`the kit holds no file ${step.file}`);
      const found = checkSqlText(await readFile(join(tree.directory, step.file), 'utf8'), step.transaction);
      return found.flatMap(({ line, message }) => problem(message, step.file, line));
    }
    case 'sqlplus': {
      if (!isFile(step.file)) return problem(`the kit holds no file ${step.file}`);
      const found = await checkSqlPlusScript(step.file, step.define, {
        has: isFile,
        read: async (path) => readFile(join(tree.directory, path), 'utf8'),
      });
      warnings.push(...found.warnings);
      return found.problems;
    }
    case 'files': {
      const prefix = `${step.from}/`;
      const held = isFile(step.from) || tree.entries.some((entry) => entry.path.startsWith(prefix));
      return held || step.from === '' ? [] : problem(`the kit holds nothing at ${step.from}`);
    }
    case 'run': {
      const program = 'argv' in step.command ? (step.command.argv[0] ?? '') : '';
      if (!program.includes('/') || program.startsWith('/')) return [];
      const entry = tree.entries.find(({ path }) => path === program.replace(/^(?:\.\/)+/, ''));
      if (entry === undefined) return problem(`the kit holds no file ${program}`);
      return entry.mode === '100644'
        ? problem(`${program} may not be executed: run it by sh, or set its mode`)
        : [];
    }
    case 'service':
      break;
  }
  return [];
}
