import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One call of the vSphere API on its way through. */
export interface VimCall {
  method: string;
  /** What it is made on, and what it says. */
  target: string;
  body: string;
  /** The task that does it; undefined: it was done at once. */
  task: string | undefined;
}

/** Why a user may not make a call on an object; undefined: go on. The simulator itself lets everybody do everything. */
export type Rights = (user: string, method: string, target: string) => string | undefined;

export interface VcenterFront extends AsyncDisposable {
  /** host:port */
  server: string;
}

/**
 * Stands before a simulated vCenter. The answer to a call that `isOfInterest` is held back until `effect` has done to the
 * guest what the call did to the VM: whoever asked finds both done. A call that was refused has no effect.
 */
export async function openVcenterFront(
  target: string,
  isOfInterest: (method: string) => boolean,
  effect: (call: VimCall) => Promise<void>,
  rights: Rights = () => undefined,
): Promise<VcenterFront> {
  const { key, cert } = await makeCertificate();
  /** Who a session is, by its cookie. */
  const users = new Map<string, string>();
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const server = createServer({ key, cert }, (asked, answer) => {
    void pass(asked, answer).catch(() => answer.destroy());
  });
  const pass = async (asked: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const body = await readAll(asked);
    const text = asked.url === '/sdk' ? body.toString('utf8') : '';
    const [, method = ''] = /<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)/.exec(text) ?? [];
    const [, on = ''] = /<(?:\w+:)?_this[^>]*>([^<]+)</.exec(text) ?? [];
    const lacking = rights(users.get(sessionOf(asked.headers.cookie)) ?? '', method, on);
    if (lacking !== undefined) {
      answer.writeHead(500, { 'content-type': 'text/xml' }).end(noPermission(on, lacking));
      return;
    }
    const sent = request(`https://${target}${asked.url}`, {
      method: asked.method,
      headers: { ...asked.headers, 'content-length': body.length },
      agent,
    });
    answer.once('close', () => sent.destroy());
    sent.end(body);
    const [said] = (await once(sent, 'response')) as [IncomingMessage];
    const [, user] = /<(?:\w+:)?userName>([^<]*)</.exec(text) ?? [];
    if (method === 'Login' && user !== undefined)
      for (const cookie of said.headers['set-cookie'] ?? []) users.set(sessionOf(cookie), user);
    if (!isOfInterest(method) || said.statusCode !== 200) {
      answer.writeHead(said.statusCode ?? 502, said.headers);
      said.pipe(answer);
      return;
    }
    const content = await readAll(said);
    const [, task] = /<returnval[^>]*type="Task"[^>]*>([^<]+)</.exec(content.toString('utf8')) ?? [];
    await effect({ method, target: on, body: text, task });
    const { 'transfer-encoding': _, ...headers } = said.headers;
    answer.writeHead(200, { ...headers, 'content-length': content.length });
    answer.end(content);
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    server: typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : '',
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      agent.destroy();
    },
  };
}

function sessionOf(cookies: string | undefined): string {
  return /vmware_soap_session="?([^";]+)/.exec(cookies ?? '')?.[1] ?? '';
}

/** As a vCenter refuses (vSphere Web Services API, NoPermission). */
function noPermission(object: string, privilege: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>Permission to perform this operation was denied.</faultstring><detail><NoPermissionFault xmlns="urn:vim25" xsi:type="NoPermission"><object type="ManagedEntity">${object}</object><privilegeId>${privilege}</privilegeId></NoPermissionFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`;
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer); // no encoding is set
  return Buffer.concat(chunks);
}

/** For this run alone, signed by itself. */
async function makeCertificate(): Promise<{ key: string; cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'clona-tls-'));
  try {
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const rest = ['-days', '2', '-subj', '/CN=vcenter', '-keyout', 'key.pem', '-out', 'cert.pem'];
    const { status, stderr } = spawnSync('openssl', [...args, ...rest], { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl makes no certificate: ${stderr}`);
    return {
      key: await readFile(join(folder, 'key.pem'), 'utf8'),
      cert: await readFile(join(folder, 'cert.pem'), 'utf8'),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the host must offer for it. */
export function hasOpenssl(): boolean {
  return spawnSync('openssl', ['version']).status === 0;
}
