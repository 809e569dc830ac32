import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTestFolder } from '../../support/machine.ts';
import { findTestToolchain, repository } from '../../support/toolchain.ts';
import { findVcsim, startVcsim, type Vcsim } from '../../support/vcsim.ts';
import { completeLive, liveName } from '../../support/vsphere-site.ts';

const execute = promisify(execFile);
const toolchain = await findTestToolchain();
const isHere = toolchain !== undefined && toolchain.languageHost !== null && findVcsim() !== undefined;
const missing = isHere ? '' : ' (Pulumi, its language host or vcsim is not here, set CLONA_TOOLCHAIN)';

describe.skipIf(!isHere)(`\`pulumi up\` on vSphere in this folder${missing}`, () => {
  let vcsim: Vcsim;
  let folder: string;
  beforeAll(async () => {
    vcsim = await startVcsim();
    completeLive(vcsim);
    folder = await makeTestFolder();
    for (const name of ['infra', 'src', 'node_modules', 'package.json']) {
      await symlink(join(repository, name), join(folder, name));
    }
    await mkdir(join(folder, 'home'));
    await copyFile(join(repository, 'Pulumi.yaml'), join(folder, 'Pulumi.yaml'));
  });
  afterAll(async () => {
    await vcsim?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  const policies = join('infra', 'policy');
  const run = async (...argv: string[]): Promise<string> => {
    const env = {
      ...process.env,
      PATH: `${join(process.execPath, '..')}:${toolchain?.path ?? ''}`,
      PULUMI_HOME: join(folder, 'home'),
      PULUMI_CONFIG_PASSPHRASE: 'test',
      PULUMI_SKIP_UPDATE_CHECK: 'true',
    };
    const all = ['--non-interactive', '--color', 'never', ...argv];
    const { stdout } = await execute(toolchain?.pulumi ?? '', all, { env, cwd: folder }).catch(
      (error: { stdout: string; stderr: string }) => {
        throw new Error(`${error.stdout}\n${error.stderr}`);
      },
    );
    return stdout;
  };

  test('says everything that is missing, at once', async () => {
    await run('stack', 'select', '--create', 'staging');
    await run('config', 'set', 'platform', 'vsphere');
    await run('config', 'set', 'vspherePassword', 'pass', '--plaintext');
    await run('config', 'set', 'cpus', 'many');
    await run('config', 'set', 'vsphereAuthority', 'nowhere.pem');
    const said = await run('preview').catch(String);
    expect(said).toContain('clona:vspherePassword: stands in clear text: set it again with --secret');
    expect(said).toContain('clona:cpus: a whole number');
    expect(said).toContain('clona:vsphereAuthority: the file nowhere.pem cannot be read: ENOENT');
    for (const key of [
      'vsphereServer',
      'datacenter',
      'guestHostKey',
      'cluster',
      'datastore',
      'isolatedPortGroup',
    ]) {
      expect(said).toContain(`clona:${key}: is missing`);
    }
    await run('config', 'rm', 'cpus');
    await run('config', 'rm', 'vsphereAuthority');
  });

  test('makes the machine of the configuration; a second preview shows no change; destroy leaves nothing', async () => {
    const settings = Object.entries({
      name: 'by-hand',
      source: liveName,
      timeToLive: '3d',
      site: 'erp',
      vsphereServer: vcsim.server,
      vsphereUser: 'user',
      vsphereAllowUnverifiedTls: 'true',
      datacenter: 'DC0',
      cluster: 'DC0_H0',
      datastore: 'LocalDS_0',
      isolatedPortGroup: 'VM Network',
      guestUser: 'erp',
      guestPrivateKey: 'guest-key',
      guestHostKey: `SHA256:${'a'.repeat(43)}`,
    }).flatMap(([key, value]) => ['--plaintext', `${key}=${value}`]);
    await run('config', 'set-all', '--secret', 'vspherePassword=pass', ...settings);
    // The first clone on this vCenter: its preview has no attributes to judge yet, the update has.
    expect(await run('up', '--yes', '--policy-pack', policies)).toContain('4 created');
    expect(vcsim.govc('find', '/', '-type', 'm', '-name', 'by-hand').trim()).toBe('/DC0/vm/by-hand');
    expect(await run('preview')).toContain('4 unchanged');
    expect(JSON.parse(await run('stack', 'output', 'machine', '--json'))).toMatchObject({
      name: 'by-hand',
      platform: 'vsphere',
      guest: { user: 'erp' },
    });
    expect(await run('stack', 'export')).not.toContain('"pass"');
    expect(await readFile(join(folder, 'Pulumi.staging.yaml'), 'utf8')).not.toMatch(/: pass$/m);
    await run('config', 'rm', 'timeToLive');
    const endless = await run('preview', '--policy-pack', policies).catch(String);
    expect(endless).toContain('it has no expiry (clona.expires): set timeToLive or expiresAt');
    await run('destroy', '--yes');
    expect(vcsim.govc('find', '/', '-type', 'm', '-name', 'by-hand')).toBe('');
  });

  test('a machine that cannot be cloned is refused in one line, without a stack trace', async () => {
    await run('config', 'set', 'source', 'nobody');
    const said = await run('preview').catch(String);
    expect(said).toContain('CLONA-0501 there is no virtual machine /DC0/vm/nobody');
    expect(said).not.toContain('    at ');
  });
});
