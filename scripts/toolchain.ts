import { findToolchain } from '../src/machines/pulumi/toolchain.ts';
import { toClonaError } from '../src/errors.ts';
import { printProgress } from '../src/cli/progress.ts';

/** Finds the Pulumi engine, or brings it into .tools; prints where it is. */
try {
  const { pulumi, version, source, languageHost } = await findToolchain({
    folder: process.cwd(),
    signal: new AbortController().signal,
    onProgress: printProgress(process.stderr),
  });
  process.stdout.write(`${pulumi} ${version} (${source})\n`);
  if (languageHost === null) {
    process.stdout.write('without pulumi-language-nodejs: clona works, `pulumi up` in a folder does not\n');
  }
} catch (thrown) {
  const { message, hint, details, exitCode } = toClonaError(thrown);
  process.stderr.write(`${message}\n`);
  for (const line of (details?.['tried'] ?? []) as string[]) process.stderr.write(`  tried: ${line}\n`);
  if (hint !== undefined) process.stderr.write(`hint: ${hint}\n`);
  process.exitCode = exitCode;
}
