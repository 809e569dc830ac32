import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type {
  Deployment,
  LocalWorkspaceOptions,
  PulumiCommand,
  PulumiFn,
  Stack,
} from '@pulumi/pulumi/automation/index.js';
import { isLockedText, lockedError, readLocks } from './locks.ts';
import { findStateFile, readStateFile, type StatePlace } from './state-file.ts';
import { findToolchain, type Toolchain } from './toolchain.ts';
import type { OnProgress } from '../../progress.ts';

export const projectName = 'clona';

const commands = new Map<string, Promise<PulumiCommand>>();

const keepLogsMs = 3 * 86_400_000;

export interface WorkspaceSettings {
  /** The site's folder: `.tools` is in it, and `.clona` unless `stateFolder` says otherwise. */
  folder: string;
  stateFolder?: string | undefined;
  /** Any backend of Pulumi by its URL; default: the folder `pulumi` in the state folder. */
  backend?: string | undefined;
  /** Passphrase of the secrets in the state; default: PULUMI_CONFIG_PASSPHRASE, its _FILE, or one made once. */
  passphrase?: string | undefined;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
  /** Found before; default: looked for now. */
  toolchain?: Toolchain | undefined;
  /** Further variables for the engine and its providers: secrets that must be neither arguments nor state. */
  environment?: Readonly<Record<string, string>> | undefined;
}

export interface OpenedStack {
  stack: Stack;
  /** False: it was just made. */
  isOld: boolean;
  /** Its state as it is now; the engine is asked only where the state is not in a file. */
  readState: () => Promise<Deployment>;
}

/** Opens the stack of one staging machine, made when it is new. Nothing here goes to the network by itself. */
export async function openStack(
  stackName: string,
  program: PulumiFn,
  settings: WorkspaceSettings,
): Promise<OpenedStack> {
  const toolchain = settings.toolchain ?? (await findToolchain(settings));
  // A quarter of a second and its gRPC: only for those who really go to the engine.
  const { LocalWorkspace, PulumiCommand, Stack, StackAlreadyExistsError } =
    await import('@pulumi/pulumi/automation/index.js');
  const state = stateFolder(settings);
  const folder = join(state, 'pulumi');
  const workDir = stackFolder(settings, stackName);
  const isNew = await mkdir(workDir, { recursive: true, mode: 0o700 });
  await removeOldLogs(join(folder, 'home', 'logs'));
  const root = await linkEngine(folder, toolchain.pulumi);
  // It asks the engine for its version, in a process of its own: once is enough.
  const command = commands.get(root) ?? PulumiCommand.get({ root });
  commands.set(root, command);
  command.catch(() => commands.delete(root));
  const pulumiCommand = await command;
  const options: LocalWorkspaceOptions = {
    workDir,
    pulumiCommand,
    pulumiHome: join(folder, 'home'),
    envVars: await engineEnvironment(state, toolchain, settings),
    projectSettings: projectSettings(),
  };
  const named = { stackName, projectName, program };
  const backend = backendOf(settings);
  const place = { backend, folder: workDir, project: projectName, stack: stackName };
  const opened = (stack: Stack, isOld: boolean): OpenedStack => ({
    stack: spareQuestions(stack),
    isOld,
    readState: async () => (await readOwnState(place)) ?? stack.exportStack(),
  });
  // Each try starts the engine: in a folder that was not there a moment ago the stack most likely is not there, too.
  if (isNew === undefined) {
    if ((await findStateFile(place)) !== undefined) {
      const workspace = await LocalWorkspace.create({ ...options, program });
      // Seen to be there; and every command names its stack, so that none has to be the selected one.
      workspace.selectStack = async () => {};
      return opened(await Stack.select(stackName, workspace), true);
    }
    const stack = await LocalWorkspace.createOrSelectStack(named, options).catch(explainLock(stackName));
    return opened(stack, true);
  }
  try {
    return opened(await LocalWorkspace.createStack(named, options), false);
  } catch (error) {
    if (!(error instanceof StackAlreadyExistsError)) return explainLock(stackName)(error);
    return opened(await LocalWorkspace.selectStack(named, options), true);
  }
}

async function readOwnState(place: StatePlace): Promise<Deployment | undefined> {
  const file = await findStateFile(place);
  return file === undefined ? undefined : readStateFile(file);
}

function backendOf(settings: WorkspaceSettings): string {
  return settings.backend ?? `file://${join(stateFolder(settings), 'pulumi')}`;
}

/** A lock may outlive its stack, and then hinders a new one of that name. */
function explainLock(stackName: string): (error: unknown) => never {
  return (error) => {
    const text = error instanceof Error ? error.message : String(error);
    if (!isLockedText(text)) throw error;
    throw lockedError(stackName, readLocks(text), error);
  };
}

/**
 * After each update the SDK reads the stack's history, in a process of the engine of its own. Nobody asks for it: the
 * counts of changes come with the engine's events.
 */
function spareQuestions(stack: Stack): Stack {
  stack.info = async () => undefined;
  return stack;
}

function stateFolder(settings: WorkspaceSettings): string {
  return resolve(settings.stateFolder ?? join(settings.folder, '.clona'));
}

/** Where the engine works on one stack. */
export function stackFolder(settings: WorkspaceSettings, stackName: string): string {
  return join(stateFolder(settings), 'pulumi', 'work', stackName);
}

/** The engine leaves a file for every command it runs, and removes none. */
async function removeOldLogs(folder: string): Promise<void> {
  const newest = Date.now() - keepLogsMs;
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const facts = await stat(path).catch(() => undefined);
    if (facts !== undefined && facts.mtimeMs < newest) await rm(path, { force: true });
  }
}

/** `plugins` is part of Pulumi.yaml, though not yet of the SDK's type for it. */
function projectSettings(): NonNullable<LocalWorkspaceOptions['projectSettings']> {
  const path = fileURLToPath(new URL('../../../infra/local-provider', import.meta.url));
  const settings = {
    name: projectName,
    runtime: 'nodejs',
    plugins: { providers: [{ name: 'clona-local', path }] },
  };
  return settings;
}

/** The SDK wants an engine at `bin/pulumi` in some folder. */
async function linkEngine(folder: string, pulumi: string): Promise<string> {
  const root = join(folder, 'engine');
  const path = join(root, 'bin', 'pulumi');
  if ((await readlink(path).catch(() => undefined)) === pulumi) return root;
  await mkdir(dirname(path), { recursive: true });
  // Others may be at it, too: whole or not at all, and never a moment without.
  const own = `${path}.${randomBytes(6).toString('hex')}`;
  await symlink(pulumi, own);
  await rename(own, path);
  return root;
}

async function engineEnvironment(
  state: string,
  toolchain: Toolchain,
  settings: WorkspaceSettings,
): Promise<Record<string, string>> {
  return {
    ...settings.environment,
    PULUMI_BACKEND_URL: backendOf(settings),
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
    // The provider is found by the Node.js that runs us, not by whichever comes first elsewhere.
    PATH: [dirname(process.execPath), toolchain.path].join(delimiter),
    ...(await passphraseVariables(state, settings.passphrase)),
  };
}

/** As Pulumi's own variables, so that no passphrase is ever an argument. */
async function passphraseVariables(
  state: string,
  passphrase: string | undefined,
): Promise<Record<string, string>> {
  if (passphrase !== undefined) return { PULUMI_CONFIG_PASSPHRASE: passphrase };
  // Set by the user: the engine inherits them.
  if (process.env['PULUMI_CONFIG_PASSPHRASE'] !== undefined) return {};
  if (process.env['PULUMI_CONFIG_PASSPHRASE_FILE'] !== undefined) return {};
  return { PULUMI_CONFIG_PASSPHRASE_FILE: await ensurePassphrase(state) };
}

/** `.clona/passphrase`, made once: whoever comes second reads what the first one wrote. */
export async function ensurePassphrase(state: string): Promise<string> {
  const path = join(state, 'passphrase');
  const own = `${path}.${randomBytes(6).toString('hex')}`;
  await mkdir(state, { recursive: true, mode: 0o700 });
  await writeFile(own, randomBytes(32).toString('base64url'), { mode: 0o600 });
  try {
    await link(own, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(own, { force: true });
  }
  return path;
}
