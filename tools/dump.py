# SPDX-License-Identifier: MIT
"""Reads a dump of the trace, as docs/trace.md describes it. It is untrusted: what is not whole is
left out and named, what is whole is used."""

import base64
import binascii
import collections
import dataclasses
import heapq
import re
import struct

BYTES_MAX = 256 << 20  # of a file; a dump has 64 KiB a core
FIRST_LINE = re.compile(rb"ATOLLTRACE 1 (\d{1,7}) (\d{1,5}) (\d{1,7})\n")
LAST_LINE = re.compile(rb"ATOLLTRACE END (\d{1,20}) (\d{1,20})\n")
LAST_MARK = b"ATOLLTRACE END "
PACKET_BYTES = range(64, (1 << 20) + 1)
FRAME = b"atoll-trace: "
ERASE_LINE = b"\r\x1b[K"  # what stands before it in a line is not on the screen any more

HEADER = struct.Struct("<IBIIQQQQH")
MAGIC = 0xC1FC1FC1
NAMES_CORE = 65535

Event = collections.namedtuple("Event", "time core kind fields")

# By id: the name of the record, its fields behind id and timestamp, and their layout.
RECORDS = {number: (kind, collections.namedtuple(kind.capitalize(), fields), struct.Struct(layout))
           for number, (kind, fields, layout) in enumerate((
               ("doorbell", "vm to", "<HH"),
               ("entry", "vm vcpu", "<HB"),
               ("exit", "vm vcpu reason rip qualification cost", "<HBHQQI"),
               ("inject", "vm vcpu information", "<HBI"),
               ("migrate", "vm vcpu to", "<HBH"),
               ("named", "vm name", "<H"),
               ("pause", "vm vcpu", "<HB"),
               ("run", "vm vcpu", "<HB"),
               ("sleep", "vm vcpu", "<HB"),
               ("stop", "vm vcpu reason", "<HBB"),
               ("wake", "vm vcpu", "<HB")))}
KINDS = tuple(kind for kind, _, _ in RECORDS.values())
STAMP = struct.Struct("<BQ")


class NotADump(Exception):
    """Nothing in it can be used; the message says why."""


@dataclasses.dataclass
class Packet:
    core: int
    discarded: int
    sequence: int
    bytes: bytes
    events: list


@dataclasses.dataclass
class Dump:
    """What is whole of a dump. `problems` has a line for all that is not."""
    metadata: bytes
    cores: int
    frequency: int = 0       # of the TSC, in Hz
    exit_reasons: dict = None  # labels by number
    stop_reasons: dict = None
    packets: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)
    dumps: int = 1           # in the file, of which this is the last one

    def events(self):
        """All but the names, in the order of their time."""
        streams = {}
        for packet in self.packets:
            if packet.core != NAMES_CORE:
                streams.setdefault(packet.core, []).extend(packet.events)
        return list(heapq.merge(*(streams[core] for core in sorted(streams)),
                                key=lambda event: event.time))

    def names(self):
        """The names of the VMs by their numbers."""
        return {event.fields.vm: event.fields.name for packet in self.packets
                if packet.core == NAMES_CORE for event in packet.events}

    def overwritten(self):
        """By core: events that its ring has lost."""
        return {packet.core: packet.discarded for packet in self.packets
                if packet.core != NAMES_CORE}

    def exit_name(self, reason):
        return self.exit_reasons.get(reason, f"exit {reason}")

    def stop_name(self, reason):
        return self.stop_reasons.get(reason, f"reason {reason}")


def read(path):
    """The last dump in a file: a raw one, or lines in the log of the first serial port. Raises
    NotADump or OSError."""
    with open(path, "rb") as file:
        data = file.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise NotADump(f"longer than {BYTES_MAX >> 20} MiB")
    if not data:
        raise NotADump("empty: nothing was dumped")
    starts = list(FIRST_LINE.finditer(data))
    if starts:
        return _parse(data, starts[-1], len(starts), [])
    framed, dumps, problems = _unframe(data)
    if framed is None:
        raise NotADump("holds no dump: no line \"ATOLLTRACE 1 ...\" or \"atoll-trace: BEGIN\"")
    start = FIRST_LINE.match(framed)
    if not start:
        raise NotADump(_first(problems) or "no dump stands behind \"atoll-trace: BEGIN\"")
    return _parse(framed, start, dumps, problems)


def _first(problems):
    return problems[0] if problems else None


def _unframe(data):
    """The bytes of the last dump in a log's lines, None without one; how many there are; what is
    wrong with it. Behind a line that is no base64 all offsets would be wrong: the rest goes."""
    dumps, framed, problems, ended = 0, None, [], True
    for number, line in enumerate(data.split(b"\n"), 1):
        line = line.rpartition(ERASE_LINE)[2].rstrip(b"\r")
        if not line.startswith(FRAME):
            continue
        text = line[len(FRAME):]
        if text == b"BEGIN":
            dumps, framed, problems, ended = dumps + 1, bytearray(), [], False
        elif framed is None or ended:
            continue
        elif match := re.fullmatch(rb"END (\d{1,20})", text):
            ended = True
            if int(match[1]) != len(framed):
                problems.append(f"line {number}: {int(match[1])} bytes are said to stand before "
                                f"it, {len(framed)} do")
        else:
            try:
                framed += base64.b64decode(text, validate=True)
            except binascii.Error:
                problems.append(f"line {number}: no base64")
                ended = True
    return None if framed is None else bytes(framed), dumps, problems


def _parse(data, start, dumps, problems):
    metadata_bytes, cores, packet_bytes = map(int, start.groups())
    metadata = data[start.end():start.end() + metadata_bytes]
    if packet_bytes not in PACKET_BYTES:
        raise NotADump(f"byte {start.start()}: packets of {packet_bytes} bytes")
    if len(metadata) < metadata_bytes:
        raise NotADump(_first(problems) or f"cut off at byte {len(data)}, in the metadata")
    dump = Dump(metadata, cores, problems=problems, dumps=dumps)
    _read_metadata(dump, start.end())
    _read_packets(dump, data, start.end() + metadata_bytes, packet_bytes)
    if not any(packet.core != NAMES_CORE for packet in dump.packets):
        raise NotADump(_first(problems) or "no core's events are in it")
    return dump


def _read_metadata(dump, offset):
    text = dump.metadata.decode("ascii", "replace")
    frequency = re.search(r"\bfreq = (\d{1,12}) *;", text)
    if not text.startswith("/* CTF 1.8 */") or not frequency or int(frequency[1]) == 0:
        raise NotADump(f"byte {offset}: no metadata of CTF 1.8 with the frequency of a clock")
    dump.frequency = int(frequency[1])
    dump.exit_reasons = _labels(text, "exit")
    dump.stop_reasons = _labels(text, "stop")


def _labels(text, event):
    """The labels of the enumeration `reason` of this event."""
    _, _, body = text.partition(f'name = "{event}";')
    body = body.partition("} reason;")[0].rpartition("{")[2]
    return {int(number): label
            for label, number in re.findall(r'"([^"\n]{1,80})" = (\d{1,5}),', body)}


def _read_packets(dump, data, offset, size):
    """Fills in the packets from `offset` on. One that is not as it must be is left out."""
    packets = 0
    sequence = {}
    while not data.startswith(LAST_MARK, offset):
        if len(data) - offset < size:
            if not dump.problems:  # else the cut has been named already
                dump.problems.append(f"cut off at byte {len(data)}, {len(data) - offset} bytes "
                                     f"into packet {packets}")
            return
        try:
            packet = _read_packet(data[offset:offset + size], dump.cores)
            if packet.sequence != sequence.get(packet.core, packet.sequence):
                dump.problems.append(f"byte {offset}: packet {packet.sequence} of core "
                                     f"{packet.core}, not {sequence[packet.core]}")
            sequence[packet.core] = packet.sequence + 1
            _check_order(dump, packet)
            dump.packets.append(packet)
        except ValueError as error:
            dump.problems.append(f"byte {offset}: packet {packets} {error}")
        packets += 1
        offset += size
    end = LAST_LINE.match(data, offset)
    if not end:
        dump.problems.append(f"cut off at byte {len(data)}, in the last line")
    elif not dump.problems:
        _check_end(dump, int(end[1]), int(end[2]), packets, offset)


def _check_order(dump, packet):
    """The packets of a core are in the order of their time, and say the same of what is lost."""
    for other in reversed(dump.packets):
        if other.core == packet.core:
            if other.events and packet.events and packet.events[0].time < other.events[-1].time:
                raise ValueError("is earlier than the one before it")
            if other.discarded != packet.discarded:
                raise ValueError("counts other events as overwritten than the one before it")
            return


def _check_end(dump, packets, overwritten, found, offset):
    if packets != found:
        dump.problems.append(f"byte {offset}: {packets} packets are said to stand before it, "
                             f"{found} do")
    elif overwritten != sum(dump.overwritten().values()):
        dump.problems.append(f"byte {offset}: {overwritten} events are said to be overwritten, "
                             f"the packets say {sum(dump.overwritten().values())}")


def _read_packet(data, cores):
    """Raises ValueError, with words that stand behind "packet N"."""
    magic, stream, bits, content, begin, end, discarded, sequence, core = HEADER.unpack_from(data)
    if magic != MAGIC or stream != 0 or bits != 8 * len(data):
        raise ValueError("does not begin like one")
    if content % 8 or not HEADER.size <= content // 8 <= len(data):
        raise ValueError(f"has {content} bits of content")
    if core >= cores and core != NAMES_CORE:
        raise ValueError(f"is of core {core}, and there are {cores}")
    packet = Packet(core, discarded, sequence, data, [])
    offset, last = HEADER.size, begin
    while offset < content // 8:
        event, offset = _read_record(data[:content // 8], offset, core)
        if not last <= event.time <= end:
            raise ValueError(f"has a record with a wrong time, before its byte {offset}")
        last = event.time
        packet.events.append(event)
    return packet


def _read_record(data, offset, core):
    """The record at `offset` and where it ends."""
    try:
        number, time = STAMP.unpack_from(data, offset)
        kind, fields, layout = RECORDS[number]
        values = layout.unpack_from(data, offset + STAMP.size)
    except (KeyError, struct.error):
        raise ValueError(f"has no record at its byte {offset}") from None
    if (kind == "named") != (core == NAMES_CORE):
        raise ValueError(f"has a record \"{kind}\" at its byte {offset}")
    offset += STAMP.size + layout.size
    if kind == "named":
        end = data.find(b"\0", offset)
        if end < 0:
            raise ValueError(f"has a name without an end at its byte {offset}")
        values += (data[offset:end].decode("utf-8", "replace"),)
        offset = end + 1
    return Event(time, core, kind, fields(*values)), offset
