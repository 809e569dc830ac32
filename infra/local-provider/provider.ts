import { main, type Provider } from '@pulumi/pulumi/provider/index.js';
import { ClonaError } from '../../src/errors.ts';
import {
  checkMachine,
  compareMachine,
  createMachine,
  deleteMachine,
  readMachine,
  updateMachine,
  type MachineInputs,
} from '../../src/machines/local/resource.ts';

const version = '0.1.0';

/** Longest time for taking down a half-made machine. */
const takeDownMs = 10_000;

/** The plugin: its one resource is `clona-local:index:Machine`, what it does is in src/machines/local/resource.ts. */
function createProvider(stop: AbortController): Provider {
  const { signal } = stop;
  return {
    version,
    schema: JSON.stringify({ name: 'clona-local', version, resources: { 'clona-local:index:Machine': {} } }),
    check: async (_urn, _olds, news: unknown) => ({ inputs: news, failures: checkMachine(news) }),
    diff: async (_id, _urn, olds: Record<string, unknown>, news: Record<string, unknown>) => ({
      ...compareMachine(olds, news),
      // The name of a machine is its folder: the new one needs the old one's place.
      deleteBeforeReplace: true,
    }),
    create: async (urn, inputs: MachineInputs) =>
      explain(async () => ({ id: inputs.name, outs: await createMachine(urn, inputs, signal) })),
    read: async (id, _urn, props: MachineInputs) =>
      explain(async () => {
        const outs = await readMachine(props);
        // A blank id: it is gone, and the next update makes it again.
        return outs === undefined ? { id: '', props: {} } : { id, props: outs };
      }),
    update: async (_id, _urn, _olds, news: MachineInputs) =>
      explain(async () => ({ outs: await updateMachine(news, signal) })),
    delete: async (_id, _urn, props: MachineInputs) => explain(async () => deleteMachine(props, signal)),
    cancel: async () => stop.abort(new ClonaError('interrupted', 'interrupted')),
  };
}

/** The engine shows the message alone: code and hint go into it. */
async function explain<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ClonaError)) throw error;
    const hint = error.hint === undefined ? '' : ` (${error.hint})`;
    throw new Error(`${error.code} ${error.message}${hint}`, { cause: error });
  }
}

export async function serve(argv: string[]): Promise<void> {
  const stop = new AbortController();
  endWithEngine(stop);
  await main(createProvider(stop), argv);
}

/** An engine that was killed tells nobody; what is half made is taken down, then this process ends. */
function endWithEngine(stop: AbortController): void {
  const engine = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === engine) return;
    clearInterval(watch);
    stop.abort(new ClonaError('interrupted', 'the engine has ended'));
    setTimeout(() => process.exit(1), takeDownMs);
  }, 200);
}
