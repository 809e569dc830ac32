import * as pulumi from '@pulumi/pulumi';

/** The provider's version these bindings were generated for. */
const version = '4.17.0';

interface ResourceShape {
  readonly __pulumiType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly required: readonly string[];
}

interface ProviderShape {
  readonly inputs: readonly string[];
  readonly required: readonly string[];
  readonly notText: readonly string[];
}

/** A resource of the vSphere provider: hands the known inputs to the engine and names the outputs to expect. */
export abstract class VsphereResource extends pulumi.CustomResource {
  constructor(shape: ResourceShape, name: string, args: object, options: pulumi.CustomResourceOptions = {}) {
    super(shape.__pulumiType, name, properties(shape, args, options), { version, ...options });
  }
}

function properties(
  shape: ResourceShape,
  args: object,
  options: pulumi.CustomResourceOptions,
): pulumi.Inputs {
  const given = new Map(Object.entries(args));
  if (options.id === undefined && options.urn === undefined) {
    for (const key of shape.required) {
      if (given.get(key) === undefined) throw new Error(`Missing required property '${key}'`);
    }
  }
  return Object.fromEntries([...shape.outputs, ...shape.inputs].map((key) => [key, given.get(key)]));
}

/** Provider settings travel as text; the password is always a secret. */
export abstract class VsphereProvider extends pulumi.ProviderResource {
  constructor(shape: ProviderShape, name: string, args: object, options: pulumi.ResourceOptions = {}) {
    const given = new Map(Object.entries(args));
    for (const key of shape.required) {
      if (given.get(key) === undefined) throw new Error(`Missing required property '${key}'`);
    }
    const inputs = shape.inputs.map((key) => {
      const value: unknown = given.get(key);
      if (value === undefined) return [key, undefined];
      if (key === 'password') return [key, pulumi.secret(value)];
      return [
        key,
        shape.notText.includes(key) ? pulumi.output(value).apply((it) => JSON.stringify(it)) : value,
      ];
    });
    super('vsphere', name, Object.fromEntries(inputs), { version, ...options });
  }
}
