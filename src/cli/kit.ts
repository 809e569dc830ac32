import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';
import type { KitCheck } from '../kit/check.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

type Action = (context: VerbContext, target: string, options: OptionValues) => Promise<VerbResult>;

const actions: Readonly<Record<string, Action>> = { hash, check, fetch, sign };

export const verb: Verb = {
  configure: (command) => {
    command
      .argument('<action>', 'hash, check, fetch or sign')
      .argument('<source>', "the kit's folder or archive; for fetch also an https, http or ftp address")
      .option('--hash <sha256>', 'the hash that is expected; http and ftp need it')
      .option('--public-key <file>', "check kit.sig against the vendor's ed25519 key (PEM)")
      .option('--into <folder>', 'fetch: the folder the kit will be in')
      .option('--key <file>', "sign: the vendor's private ed25519 key (PEM)");
  },
  examples: [
    'clona kit hash kits/erp-2.1',
    'clona kit check kits/erp-2.1.zip --json',
    'clona kit fetch ftp://vendor.example/erp-2.1.tar.gz --hash 9f2c… --into kits/erp-2.1',
    'clona kit sign kits/erp-2.1 --key vendor.pem',
  ],
  exits: {
    2: 'usage, or the kit is not in order',
    4: 'the hash or the signature does not fit',
    6: 'the kit cannot be fetched',
  },
  changesNothing: (_, args) => args[0] === 'hash' || args[0] === 'check',
  run: async (context, options, args) => {
    const [name = '', target = ''] = args;
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (action === undefined) {
      throw new ClonaError('usage', `there is no kit action "${name}"`, {
        hint: 'hash, check, fetch or sign',
      });
    }
    return action(context, target, options);
  },
};

async function hash(context: VerbContext, target: string, options: OptionValues): Promise<VerbResult> {
  const { hashKit, parseKitHash } = await import('../kit/hash.ts');
  const found = await withFolder(target, context, async (folder) => hashKit(folder, context.signal));
  const given = textOption(options, 'hash');
  const expected = given === undefined ? undefined : parseKitHash(given);
  if (expected !== undefined && expected !== found.hash) {
    throw new ClonaError('kitUntrusted', `the kit has hash ${found.hash}, expected was ${expected}`, {
      details: { expected, found: found.hash },
    });
  }
  for (const warning of found.warnings) context.note(`warning: ${warning}`);
  return { json: found, human: found.hash };
}

async function check(context: VerbContext, target: string, options: OptionValues): Promise<VerbResult> {
  const { checkKit } = await import('../kit/check.ts');
  const { parseKitHash } = await import('../kit/hash.ts');
  const { checkSignature } = await import('../kit/signature.ts');
  const { readKeyFile } = await import('../kit/fetch.ts');
  return withFolder(target, context, async (folder) => {
    const found = await checkKit(folder, context.signal);
    const expected = parseKitHash(textOption(options, 'hash') ?? found.hash);
    if (expected !== found.hash) {
      throw new ClonaError('kitUntrusted', `the kit has hash ${found.hash}, expected was ${expected}`);
    }
    const keyFile = textOption(options, 'publicKey');
    if (keyFile !== undefined) await checkSignature(folder, found.hash, await readKeyFile(keyFile));
    return checkResult(found, keyFile !== undefined);
  });
}

async function checkResult(found: KitCheck, signed: boolean): Promise<VerbResult> {
  const { showProblem } = await import('../kit/read-manifest.ts');
  const { manifest, ok, hash, files, bytes, problems, warnings } = found;
  const json = {
    ok,
    name: manifest?.name ?? null,
    version: manifest?.version ?? null,
    fromVersions: manifest?.fromVersions ?? [],
    hash,
    files,
    bytes,
    signed,
    steps: manifest?.steps ?? [],
    problems,
    warnings,
  };
  const steps = manifest?.steps ?? [];
  const lines = [
    manifest === null ? 'kit.yaml cannot be read' : `${manifest.name} ${manifest.version}`,
    `hash   ${hash}`,
    `files  ${files} (${bytes} bytes)`,
    ...(manifest === null ? [] : [`from   ${manifest.fromVersions.join(', ') || 'any version'}`]),
    ...steps.map(
      (step, index) =>
        `${String(index + 1).padStart(3)}  ${step.kind.padEnd(7)} ${step.name} (at most ${step.timeoutMs / 1000} s${step.repeatable ? ', repeatable' : ''})`,
    ),
    ...warnings.map((warning) => `warning: ${warning}`),
    ...problems.map((problem) => `wrong: ${showProblem(problem)}`),
    ok ? 'in order' : `not in order: ${problems.length} to mend`,
  ];
  return { json, human: lines.join('\n'), exitCode: ok ? 0 : 2 };
}

async function fetch(context: VerbContext, target: string, options: OptionValues): Promise<VerbResult> {
  const { fetchKit, readKeyFile } = await import('../kit/fetch.ts');
  const into = textOption(options, 'into');
  if (into === undefined) throw new ClonaError('usage', 'where to: give --into FOLDER');
  const keyFile = textOption(options, 'publicKey');
  const kit = await fetchKit({
    source: target,
    into: into,
    expectedHash: textOption(options, 'hash'),
    publicKey: keyFile === undefined ? undefined : await readKeyFile(keyFile),
    signal: context.signal,
    onProgress: context.onProgress,
  });
  const { manifest, hash, directory, source, signed, files, bytes, warnings } = kit;
  const json = {
    name: manifest.name,
    version: manifest.version,
    hash,
    directory,
    source,
    signed,
    files,
    bytes,
    warnings,
  };
  return { json, human: `${manifest.name} ${manifest.version} is in ${directory}\nhash   ${hash}` };
}

async function sign(context: VerbContext, target: string, options: OptionValues): Promise<VerbResult> {
  const { signKit } = await import('../kit/sign.ts');
  const key = textOption(options, 'key');
  if (key === undefined) throw new ClonaError('usage', 'by which key: give --key FILE');
  const { hash } = await signKit(target, key, context.signal);
  return {
    json: { hash, signature: join(target, 'kit.sig') },
    human: `signed ${hash} in ${join(target, 'kit.sig')}`,
  };
}

/** A folder as it is; an archive unpacked into a folder that is gone afterwards. */
async function withFolder<Result>(
  target: string,
  context: VerbContext,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  const found = await stat(target).catch(() => undefined);
  if (found === undefined) throw new ClonaError('fileUnreadable', `there is no kit at ${target}`);
  if (found.isDirectory()) return work(target);
  const { unpackArchive } = await import('../kit/unpack.ts');
  const { defaultKitLimits } = await import('../kit/limits.ts');
  const parent = await mkdtemp(join(tmpdir(), 'clona-kit-'));
  try {
    const folder = join(parent, 'kit');
    await unpackArchive(target, folder, defaultKitLimits, context.signal);
    return await work(folder);
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}
