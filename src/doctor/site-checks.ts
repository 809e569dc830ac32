import { readdir, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { failed, ok, skipped, warning, type Finding, type Patient } from './check.ts';

/** R18: the gate waits for every department; one without a key user could never answer. */
export function departments({ site }: Patient): Finding[] {
  if (site.departments.length === 0) {
    return [
      warning(
        'no departments: a release opens the gate without anyone’s word',
        'list them under departments, with name and keyUsers',
      ),
    ];
  }
  return site.departments.map(({ name, keyUsers, delegates, checks }) => {
    if (keyUsers.length === 0) {
      return failed(
        `department ${name} has no key user: its confirmation can never come`,
        `add keyUsers to department ${name}`,
      );
    }
    if (checks.length === 0) {
      return warning(`department ${name} has nothing to try`, `add checks to department ${name}`);
    }
    return ok(`department ${name}: ${[...keyUsers, ...delegates].join(', ')}`);
  });
}

export async function smokeTests({ site }: Patient): Promise<Finding[]> {
  const { directory } = site.smoke;
  const names = await readdir(directory, { recursive: true }).catch(() => undefined);
  if (names === undefined) {
    return [failed(`there is no folder of smoke tests ${directory}`, 'create it, or set smoke.directory')];
  }
  const tests = names.filter((name) => name.endsWith('.smoke.ts') || name.endsWith('.sql'));
  if (tests.length > 0) return [ok(`${tests.length} smoke tests in ${directory}`)];
  return [
    failed(`no smoke test in ${directory}`, 'write *.smoke.ts or *.sql there: docs/how-to explains both'),
  ];
}

/** R15: a minimum grade that nothing can reach keeps the gate closed for ever. */
export function gradeWithinReach({ site }: Patient): Finding[] {
  const { minimumGrade } = site.archive;
  if (minimumGrade >= 5 && site.database.businessCounts.length === 0) {
    return [
      failed(
        `grade ${minimumGrade} is wanted, but without business counts no archive gets beyond grade 4`,
        'give database.businessCounts, or lower archive.minimumGrade',
      ),
    ];
  }
  if (minimumGrade < 3) {
    return [
      warning(
        `grade ${minimumGrade} is enough for the gate: nothing was ever restored from such an archive`,
        'set archive.minimumGrade to 3 or more',
      ),
    ];
  }
  return [ok(`the gate wants an archive of grade ${minimumGrade}`)];
}

export async function kitSource({ site }: Patient): Promise<Finding[]> {
  const { source, sha256, publicKey } = site.kit;
  const found: Finding[] = [];
  if (source === undefined) found.push(skipped('no kit.source: kits are named on the command line'));
  else if (/^(?:http|ftp):\/\//i.test(source) && sha256 === undefined) {
    found.push(
      warning(
        `kits come by ${source.split(':')[0]}, which anyone on the way can change, and no hash is expected`,
        'set kit.sha256, or give --hash with each release',
      ),
    );
  } else if (/^[a-z]+:\/\//i.test(source)) found.push(ok(`kits come from ${source.replace(/\?.*/, '')}`));
  else if (await isThere(resolve(site.folder, source))) found.push(ok(`kits come from ${source}`));
  else found.push(failed(`the kit ${source} is not there`, 'mend kit.source'));
  if (publicKey !== undefined && !(await isThere(publicKey))) {
    found.push(failed(`the vendor's key ${publicKey} is not there`, 'mend kit.publicKey'));
  }
  return found;
}

/** R23 */
export async function masking({ site }: Patient): Promise<Finding[]> {
  if (site.staging.masking.length === 0) {
    return [
      warning(
        'no masking: people on staging see the data of production',
        'list SQL files under staging.masking',
      ),
    ];
  }
  return Promise.all(
    site.staging.masking.map(async (file) =>
      (await isThere(file))
        ? ok(`masking ${file}`)
        : failed(`the masking file ${file} is not there`, 'mend staging.masking'),
    ),
  );
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
