import { failed, ok, warning, type Finding, type Patient } from './check.ts';

/** R21: a clone under the name of production could be taken for it. The site file refuses it; so does doctor. */
export function stagingName({ site }: Patient): Finding[] {
  const { live } = site.machines;
  if (site.staging.name === live.name) {
    return [failed('staging has the name of production', 'set staging.name')];
  }
  return [ok(`staging ${site.staging.name} is not ${live.name}`)];
}

/** R21: whether the isolated network of a clone is a real one here. */
export async function isolation({ site }: Patient): Promise<Finding[]> {
  if (site.machines.platform === 'vsphere') {
    return [ok('staging gets a network without a way out on vSphere before its first boot')];
  }
  if (await canMakeNetwork())
    return [ok('staging gets a network namespace of its own: it reaches nothing but itself')];
  return [
    warning(
      'staging is isolated by configuration only: this host lets clona make no network of its own',
      process.platform === 'linux'
        ? 'run clona as root'
        : 'run clona on Linux as root, where it makes a network namespace',
    ),
  ];
}

async function canMakeNetwork(): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const { execFile } = await import('node:child_process');
  return new Promise((resolve) => {
    execFile('unshare', ['-n', 'true'], { timeout: 5000 }, (error) => resolve(error === null));
  });
}
