import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import * as vsphere from '@pulumi/vsphere';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { functions, generate, resources, type Schema } from '../../sdks/vsphere/generate.ts';

const toolchain = process.env['CLONA_TOOLCHAIN'];
const tools = toolchain === undefined ? undefined : mkdtempSync(join(tmpdir(), 'clona-sdk-'));
const plugin = findPlugin();
// How the engine's protocol marks a secret (pulumi/sdk: resource.SecretSig).
const secretMark = '4dabf18193072939515e22adb298388d';
const secretValue = '1b47061264138c4ac30d75fd1eb44270';
const seen = new Map<string, unknown>();

// The provider's own schema is the judge: a name that is not in it fails here.
describe.skipIf(plugin === undefined)('sdks/vsphere against the schema of the provider', () => {
  let schema: Schema;
  beforeAll(() => {
    schema = readSchema();
    return pulumi.runtime.setMocks({
      newResource: (args) => {
        seen.set(args.name, { type: args.type, inputs: args.inputs });
        return { id: 'id', state: {} };
      },
      call: (args) => ({ seenToken: args.token, ...args.inputs }),
    });
  });
  afterAll(() => {
    if (tools !== undefined) rmSync(tools, { recursive: true });
  });

  test('the committed files are what the schema gives', () => {
    const texts = generate(schema);
    for (const [name, text] of Object.entries(texts)) {
      const committed = readFileSync(new URL(`../../sdks/vsphere/${name}`, import.meta.url), 'utf8');
      expect(words(committed), name).toBe(words(text));
    }
  });

  test.each(resources)('%s has the inputs, outputs and required flags of the schema', (name) => {
    const shape = schema.resources[`vsphere:index/${name}`]!;
    const resource = resourceClass(name);
    expect(resource.__pulumiType).toBe(`vsphere:index/${name}`);
    expect([...resource.inputs].sort()).toEqual(Object.keys(shape.inputProperties).sort());
    expect([...resource.outputs].sort()).toEqual(Object.keys(shape.properties ?? {}).sort());
    expect([...resource.required].sort()).toEqual([...(shape.requiredInputs ?? [])].sort());
  });

  test.each(resources)(
    '%s hands every input to the engine and refuses a missing required one',
    async (name) => {
      const resource = resourceClass(name);
      const args = Object.fromEntries(resource.inputs.map((key) => [key, `value of ${key}`]));
      await created(new resource(`every input of ${name}`, args));
      expect(seen.get(`every input of ${name}`)).toEqual({ type: `vsphere:index/${name}`, inputs: args });
      for (const key of resource.required) {
        expect(() => new resource('two', { ...args, [key]: undefined })).toThrow(
          `Missing required property '${key}'`,
        );
      }
    },
  );

  test.each(functions)('%s asks for the token of the schema', async (name) => {
    expect(schema.functions).toHaveProperty([`vsphere:index/${name}:${name}`]);
    const answer: unknown = await Reflect.apply(vsphere[name], undefined, [
      { name: 'x', datacenterId: 'dc' },
    ]);
    expect(answer).toMatchObject({ seenToken: `vsphere:index/${name}:${name}`, name: 'x' });
  });

  test('the provider takes the settings of the schema and keeps the password secret', async () => {
    expect([...vsphere.Provider.inputs].sort()).toEqual(Object.keys(schema.provider.inputProperties).sort());
    await created(new vsphere.Provider('p', { user: 'u', password: 'geheim', allowUnverifiedSsl: true }));
    expect(seen.get('p')).toEqual({
      type: 'pulumi:providers:vsphere',
      inputs: {
        user: 'u',
        password: { [secretMark]: secretValue, value: 'geheim' },
        allowUnverifiedSsl: 'true',
      },
    });
  });
});

interface ResourceClass {
  new (name: string, args: object): pulumi.CustomResource;
  __pulumiType: string;
  inputs: readonly string[];
  outputs: readonly string[];
  required: readonly string[];
}

function resourceClass(name: string): ResourceClass {
  // The tests go through all classes alike, whatever their argument types.
  return Reflect.get(vsphere, name.slice(name.indexOf(':') + 1)) as ResourceClass;
}

async function created(resource: pulumi.Resource): Promise<void> {
  await new Promise((done) => void resource.urn.apply(done));
}

/** The formatter may break lines elsewhere. */
function words(text: string): string {
  return text.replace(/[\s,;|()'"]+/g, '');
}

function findPlugin(): string | undefined {
  if (tools !== undefined && toolchain !== undefined) {
    const { status } = spawnSync(join(resolve(toolchain), 'unpack'), [tools]);
    if (status === 0) return join(tools, 'pulumi-resource-vsphere');
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'pulumi-resource-vsphere')).find((path) => existsSync(path));
}

function readSchema(): Schema {
  const pulumi = tools === undefined ? 'pulumi' : join(tools, 'pulumi');
  const env = {
    ...process.env,
    PULUMI_HOME: join(tools ?? tmpdir(), 'home'),
    PULUMI_SKIP_UPDATE_CHECK: 'true',
  };
  const { stdout } = spawnSync(pulumi, ['package', 'get-schema', plugin!], {
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  // The provider's own answer: its form is what the bindings are checked against.
  return JSON.parse(stdout) as Schema;
}
