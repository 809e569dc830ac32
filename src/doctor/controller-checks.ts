import { access, constants } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { formatSize } from '../site/units.ts';
import { failed, ok, warning, type Finding, type Patient } from './check.ts';

export function nodeVersion(): Finding[] {
  const { node } = process.versions;
  if (Number(node.split('.')[0]) >= 24) return [ok(`Node.js ${node}`)];
  return [failed(`Node.js ${node} is older than 24`, 'install Node.js 24, or: npm install node@24')];
}

export function operatingSystem(): Finding[] {
  const system = `${process.platform} ${process.arch}`;
  const supported = ['linux x64', 'linux arm64', 'darwin x64', 'darwin arm64'];
  if (supported.includes(system)) return [ok(`system ${system}, ${availableParallelism()} cores`)];
  const mend =
    process.platform === 'win32'
      ? 'run clona inside WSL 2'
      : 'see docs/supported-systems.md; parts that need native programs may not run';
  return [warning(`system ${system} is not among the tested ones`, mend)];
}

export function memory(): Finding[] {
  const total = totalmem();
  if (total >= 2e9) return [ok(`${formatSize(total)} of memory`)];
  return [
    warning(
      `${formatSize(total)} of memory: a refresh with its databases and Pulumi needs about 1.5 GB`,
      'use a controller with 2 GB or more',
    ),
  ];
}

/** Looks where the Pulumi command line is looked for, without fetching or building it. */
export async function toolchain({ site }: Patient): Promise<Finding[]> {
  const places = [
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    resolve(site.folder, '.tools'),
    resolve(site.folder, '.tools/bin'),
  ];
  for (const folder of places) {
    const file = join(folder, 'pulumi');
    if (await isExecutable(file)) return [ok(`Pulumi: ${file}`)];
  }
  const given = process.env['CLONA_TOOLCHAIN'];
  if (given !== undefined && (await isExecutable(join(given, 'unpack')))) {
    return [ok(`Pulumi: unpacked from CLONA_TOOLCHAIN at its first use`)];
  }
  return [
    warning(
      'Pulumi is neither on PATH nor in .tools nor in CLONA_TOOLCHAIN: its first use will fetch or build it',
      'install it from pulumi.com/docs/install, or set CLONA_TOOLCHAIN to a folder with an unpack script',
    ),
  ];
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
