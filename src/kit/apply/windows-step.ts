import { join } from 'node:path';
import { ClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { quotePowerShell } from '../../guest/powershell.ts';
import type { Kit } from '../check.ts';
import type { ServiceAction } from '../manifest.ts';
import { readTree } from '../tree.ts';

/**
 * What a kit does on a Windows guest, as texts for PowerShell 5.1 and calls of cmd.exe. Golden-tested; no Windows can be
 * installed where clona is developed.
 */

/** The kit's files one by one, over SFTP; what an earlier run left there is removed first. */
export async function uploadToWindows(
  guest: Guest,
  kit: Kit,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const { entries } = await readTree(kit.directory, signal);
  const link = entries.find((entry) => entry.link !== undefined);
  if (link !== undefined) {
    throw new ClonaError('kitUnfit', `${link.path} is a symbolic link, which a Windows guest does not take`, {
      hint: 'put the file itself into the kit',
    });
  }
  await removeFromWindows(guest, folder, signal);
  const folders = new Set(entries.map(({ path }) => path.split('/').slice(0, -1).join('\\')));
  for (const inner of ['', ...[...folders].filter((one) => one !== '').sort()]) {
    // mkdir makes what lies above, too.
    await mustRun(guest, ['mkdir', inner === '' ? folder : `${folder}\\${inner}`], signal, true);
  }
  for (const { path } of entries) {
    await guest.upload(join(kit.directory, path), `${folder}\\${path.replaceAll('/', '\\')}`, signal);
  }
}

export async function removeFromWindows(guest: Guest, folder: string, signal: AbortSignal): Promise<void> {
  await mustRun(guest, ['if', 'exist', folder, 'rd', '/s', '/q', folder], signal);
}

async function mustRun(
  guest: Guest,
  command: readonly string[],
  signal: AbortSignal,
  mayExist = false,
): Promise<void> {
  const folder = command.at(-1) ?? '';
  const argv = mayExist ? ['if', 'not', 'exist', folder, ...command] : command;
  const { exitCode, stderr, stdout } = await guest.run(['cmd.exe', '/d', '/c', ...argv], { signal });
  if (exitCode === 0) return;
  const said = `${stderr}${stdout}`.trim().slice(0, 500);
  throw new ClonaError('guestFailed', `${command.join(' ')} in the guest ended with ${exitCode}: ${said}`);
}

/** Start-Service and Stop-Service come back when the service says that it is there; what it depends on goes and comes with it. */
export function serviceScript(action: ServiceAction, service: string): string {
  const name = quotePowerShell(service);
  const verb = { start: 'Start-Service', stop: 'Stop-Service -Force', restart: 'Restart-Service -Force' }[
    action
  ];
  const state = action === 'stop' ? 'Stopped' : 'Running';
  return [
    "$ErrorActionPreference = 'Stop'",
    `${verb} -Name ${name}`,
    // A service may be pending still when the command has come back.
    `(Get-Service -Name ${name}).WaitForStatus('${state}')`,
    `Write-Output ((Get-Service -Name ${name}).Name + ' is ' + (Get-Service -Name ${name}).Status)`,
  ].join('\n');
}

/** Every file is first copied beside its place, then all are renamed: a copy that fails (no space, no right) changes nothing. */
export function mergeScript(from: string, to: string): string {
  return `$ErrorActionPreference = 'Stop'
$from = ${quotePowerShell(from)}; $to = ${quotePowerShell(to)}
if (Test-Path -LiteralPath $from -PathType Container) {
  $root = (Get-Item -LiteralPath $from).FullName.TrimEnd('\\')
  $pairs = @(Get-ChildItem -LiteralPath $from -Recurse -File -Force | ForEach-Object { @{ s = $_.FullName; t = $to + $_.FullName.Substring($root.Length) } })
} else { $pairs = @(@{ s = $from; t = $to }) }
try {
  foreach ($p in $pairs) {
    if (Test-Path -LiteralPath $p.t -PathType Container) { throw ($p.t + ' is a folder, the kit has a file there') }
    [void](New-Item -ItemType Directory -Force -Path (Split-Path -Parent $p.t))
    Copy-Item -LiteralPath $p.s -Destination ($p.t + '.clona-new') -Force
  }
  foreach ($p in $pairs) { Move-Item -LiteralPath ($p.t + '.clona-new') -Destination $p.t -Force }
} finally {
  foreach ($p in $pairs) { if (Test-Path -LiteralPath ($p.t + '.clona-new')) { Remove-Item -LiteralPath ($p.t + '.clona-new') -Force } }
}
Write-Output ([string]$pairs.Count + ' files put into ' + $to)`;
}

/** The whole folder (or file) is put in place of the old one by two renames; a run in between is mended by the next. */
export function replaceScript(from: string, to: string): string {
  return `$ErrorActionPreference = 'Stop'
$from = ${quotePowerShell(from)}; $to = ${quotePowerShell(to)}
$old = $to + '.clona-old'; $new = $to + '.clona-new'
if (-not (Test-Path -LiteralPath $to) -and (Test-Path -LiteralPath $old)) { Move-Item -LiteralPath $old -Destination $to }
foreach ($one in $new, $old) { if (Test-Path -LiteralPath $one) { Remove-Item -LiteralPath $one -Recurse -Force } }
[void](New-Item -ItemType Directory -Force -Path (Split-Path -Parent $to))
Copy-Item -LiteralPath $from -Destination $new -Recurse -Force
if (Test-Path -LiteralPath $to) { Move-Item -LiteralPath $to -Destination $old }
try { Move-Item -LiteralPath $new -Destination $to } catch { Move-Item -LiteralPath $old -Destination $to; throw }
if (Test-Path -LiteralPath $old) { Remove-Item -LiteralPath $old -Recurse -Force }
Write-Output ($to + ' replaced')`;
}
