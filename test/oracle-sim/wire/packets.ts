export const packetType = { connect: 1, accept: 2, refuse: 4, data: 6, marker: 12 } as const;

/** What a client sends. */
const fromClient: ReadonlySet<number> = new Set([packetType.connect, packetType.data, packetType.marker]);

/** Data flags: the last packet of a request; the client says goodbye. */
export const endOfRequest = 0x800;
export const endOfFile = 0x40;

export const markers = { break: 1, reset: 2, interrupt: 3 } as const;

export interface Packet {
  type: number;
  bytes: Buffer;
}

/** Cuts a stream of bytes into packets: lengths have two bytes up to and with ACCEPT, four after. */
export class PacketSplitter {
  #waiting: Buffer = Buffer.alloc(0);
  large = false;

  *push(chunk: Buffer): Generator<Packet> {
    this.#waiting = this.#waiting.length === 0 ? chunk : Buffer.concat([this.#waiting, chunk]);
    while (this.#waiting.length >= 8) {
      const length = this.large ? this.#waiting.readUInt32BE(0) : this.#waiting.readUInt16BE(0);
      if (!fromClient.has(this.#waiting[4]!)) throw new Error('this is no TNS');
      if (length < 8 || length > 2_097_152) throw new Error(`a packet of ${length} bytes`);
      if (this.#waiting.length < length) return;
      const bytes = this.#waiting.subarray(0, length);
      this.#waiting = this.#waiting.subarray(length);
      yield { type: bytes[4]!, bytes };
    }
  }
}

function packet(type: number, size: number, large: boolean): Buffer {
  const bytes = Buffer.alloc(size);
  if (large) bytes.writeUInt32BE(size, 0);
  else bytes.writeUInt16BE(size, 0);
  bytes[4] = type;
  return bytes;
}

export interface ConnectRequest {
  sdu: number;
  /** null: it comes in the DATA packet that follows. */
  connectData: string | null;
}

export function readConnect(bytes: Buffer): ConnectRequest {
  const length = bytes.readUInt16BE(24);
  const offset = bytes.readUInt16BE(26);
  const here = offset + length <= bytes.length;
  return {
    sdu: bytes.readUInt32BE(58),
    connectData: here ? bytes.toString('ascii', offset, offset + length) : null,
  };
}

/** Version 318: no end-of-request packets, no fast authentication, no native network services. */
export function acceptPacket(sdu: number): Buffer {
  const bytes = packet(packetType.accept, 45, false);
  bytes.writeUInt16BE(318, 8);
  bytes.writeUInt16BE(Math.min(sdu, 65_535), 12);
  bytes.writeUInt16BE(65_535, 14);
  bytes.writeUInt16BE(1, 16);
  bytes[22] = 8;
  bytes[23] = 8;
  bytes.writeUInt32BE(sdu, 32);
  bytes.writeUInt32BE(2_097_152, 36);
  return bytes;
}

/** What a listener answers instead of ACCEPT. */
export function refusePacket(code: number): Buffer {
  const reason = `(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR=${code})(ERROR_STACK=(ERROR=(CODE=${code})(EMFI=4))))`;
  const bytes = packet(packetType.refuse, 12 + reason.length, false);
  bytes[8] = 34;
  bytes.writeUInt16BE(reason.length, 10);
  bytes.write(reason, 12, 'ascii');
  return bytes;
}

export function markerPacket(marker: number): Buffer {
  const bytes = packet(packetType.marker, 11, true);
  bytes[8] = 1;
  bytes[10] = marker;
  return bytes;
}

/** A message in as many DATA packets as the SDU demands. */
export function dataPackets(message: Buffer, sdu: number): Buffer {
  const most = sdu - 10;
  const packets: Buffer[] = [];
  for (let at = 0; at < message.length; at += most) {
    const part = message.subarray(at, at + most);
    const bytes = packet(packetType.data, 10 + part.length, true);
    part.copy(bytes, 10);
    packets.push(bytes);
  }
  return Buffer.concat(packets);
}
