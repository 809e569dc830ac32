import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

export interface FtpServer extends AsyncDisposable {
  port: number;
  /** Commands as they came, passwords left out. */
  commands: string[];
}

export interface FtpOptions {
  files: Readonly<Record<string, Buffer>>;
  user: string;
  password: string;
  /** Closes the data connection after this many bytes, as a broken line does. */
  breakAfterBytes?: number;
  /** Then nobody logs in, and no file goes, in the clear (RFC 4217); `implicit`: TLS from the first byte, as on port 990. */
  tls?: { key: Buffer; cert: Buffer; implicit: boolean };
  /** Default: any that is free. */
  port?: number;
}

/** A small, strict FTP server (RFC 959, RFC 2428 EPSV, RFC 3659 SIZE, RFC 4217 TLS): passive, binary, read only. */
export async function startFtpServer(options: FtpOptions): Promise<FtpServer> {
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  };
  const server = createServer((socket) => {
    keep(socket);
    const secured = options.tls?.implicit === true ? secure(socket, options, keep) : socket;
    serve(secured, options, commands, keep);
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server),
    commands,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port; // it listens on TCP
}

function secure(plain: Socket, { tls }: FtpOptions, keep: (socket: Socket) => void): Socket {
  const secured = new TLSSocket(plain, { isServer: true, key: tls?.key, cert: tls?.cert });
  keep(secured);
  return secured;
}

function serve(first: Socket, options: FtpOptions, commands: string[], keep: (socket: Socket) => void): void {
  let socket = first;
  const session = {
    user: '',
    loggedIn: false,
    secured: first instanceof TLSSocket,
    dataSecured: false,
    binary: false,
    data: undefined as Promise<Socket> | undefined,
  };
  const reply = (text: string): boolean => socket.write(`${text}\r\n`);
  const openData = async (): Promise<number> => {
    const passive = createServer();
    passive.listen(0, '127.0.0.1');
    await once(passive, 'listening');
    session.data = once(passive, 'connection').then(([connection]) => {
      passive.close();
      keep(connection as Socket);
      return connection as Socket;
    });
    return portOf(passive);
  };
  const send = async (path: string): Promise<void> => {
    const content = options.files[path];
    if (content === undefined) return void reply('550 no such file');
    if (options.tls !== undefined && !session.dataSecured) return void reply('522 PROT P first');
    if (!session.binary || session.data === undefined) return void reply('503 TYPE I and EPSV first');
    reply('150 here it comes');
    const plain = await session.data;
    const data = session.dataSecured ? secure(plain, options, keep) : plain;
    session.data = undefined;
    data.end(content.subarray(0, options.breakAfterBytes ?? content.length));
    await once(data, 'close');
    reply(options.breakAfterBytes === undefined ? '226 done' : '426 connection broken');
  };
  const handle = async (line: string): Promise<void> => {
    const [word = '', ...rest] = line.split(' ');
    const verb = word.toUpperCase();
    const argument = rest.join(' ');
    commands.push(verb === 'PASS' ? 'PASS' : line);
    if (verb === 'AUTH' && options.tls !== undefined && !session.secured) {
      reply('234 go on in TLS');
      socket.removeAllListeners('data');
      socket = secure(socket, options, keep);
      session.secured = true;
      listenTo(socket);
    } else if (options.tls !== undefined && !session.secured) reply('534 AUTH TLS first');
    else if (verb === 'PBSZ') reply('200 ok');
    else if (verb === 'PROT') {
      session.dataSecured = argument === 'P';
      reply('200 ok');
    } else if (verb === 'USER') {
      session.user = argument;
      reply('331 password please');
    } else if (verb === 'PASS') {
      session.loggedIn = session.user === options.user && argument === options.password;
      reply(session.loggedIn ? '230 welcome' : '530 wrong user or password');
    } else if (verb === 'QUIT') socket.end('221 bye\r\n');
    else if (!session.loggedIn) reply('530 log in first');
    else if (verb === 'FEAT') reply('211-features\r\n EPSV\r\n SIZE\r\n211 end');
    else if (verb === 'TYPE') {
      session.binary = argument === 'I';
      reply('200 ok');
    } else if (verb === 'SIZE') {
      const content = options.files[argument];
      reply(content === undefined ? '550 no such file' : `213 ${content.length}`);
    } else if (verb === 'EPSV') reply(`229 passive (|||${await openData()}|)`);
    else if (verb === 'RETR') await send(argument);
    else if (verb === 'STRU' || verb === 'OPTS') reply('200 ok');
    else reply('502 not known here');
  };
  let pending = '';
  let queue = Promise.resolve();
  const listenTo = (from: Socket): void => {
    from.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (pending + chunk).split('\r\n');
      pending = lines.pop() ?? '';
      for (const line of lines) queue = queue.then(() => handle(line)).catch(() => void from.destroy());
    });
  };
  listenTo(socket);
  reply('220 test server');
}
