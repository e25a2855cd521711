# SPDX-License-Identifier: MIT
"""What the events of a trace say about the time between them: when which vCPU ran on which core,
handled exits and slept. The beginning of a trace may be overwritten, and a core may have been
switched on or off in the middle: what lies open is closed where the last thing is known of it."""

import collections
import dataclasses

Exit = collections.namedtuple("Exit", "begin end event")
Sleep = collections.namedtuple("Sleep", "begin end")


@dataclasses.dataclass
class Slice:
    """A stay of a vCPU on a core. Times are ticks of the TSC."""
    core: int
    vcpu: tuple  # (VM, vCPU)
    begin: int
    end: int
    exits: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Timeline:
    begin: int
    end: int
    events: list
    cores: dict   # by core: its slices, in order, which do not overlap
    known: dict   # by core: from when on everything is known of it
    vcpus: dict   # by (VM, vCPU): its slices, in order, which do not overlap
    sleeps: dict  # by (VM, vCPU): its Sleeps between them


def of(dump):
    """The Timeline of a dump."""
    events = dump.events()
    cores = collections.defaultdict(list)
    for event in events:
        cores[event.core].append(event)
    end = max((event.time for event in events), default=0)
    slices = {core: _slices(core, cores[core], end) for core in sorted(cores)}
    begin = min([event.time for event in events[:1]] +
                [piece.begin for pieces in slices.values() for piece in pieces], default=0)
    overwritten = dump.overwritten()
    known = {core: cores[core][0].time if overwritten[core] else begin for core in slices}
    vcpus = _by_vcpu(slices, events)
    since = max(known.values(), default=begin)
    sleeps = {vcpu: [] for vcpu in vcpus}
    for vcpu, spans in _sleeps(events, since, end).items():
        sleeps[vcpu] = _between(spans, vcpus[vcpu])
    return Timeline(begin, end, events, slices, known, vcpus, sleeps)


def vcpu_of(event):
    """The vCPU that an event is of; None of a doorbell."""
    return (event.fields.vm, event.fields.vcpu) if event.kind != "doorbell" else None


def _slices(core, events, end):
    """The slices of a core from its events."""
    done, current, last = [], None, events[0].time if events else 0
    for event in events:
        vcpu = vcpu_of(event)
        if event.kind in ("run", "pause", "entry", "inject", "exit"):
            if current and (current.vcpu != vcpu or event.kind == "run"):
                current.end, current = last, None
            if not current and (event.kind != "pause" or not done):
                current = Slice(core, vcpu, _slice_begin(event, last, done), end)
                done.append(current)
        if event.kind == "exit":
            floor = current.exits[-1].end if current.exits else current.begin
            begin = min(max(event.time - event.fields.cost, floor), event.time)
            current.exits.append(Exit(begin, event.time, event))
        elif event.kind == "pause" and current:
            current.end, current = event.time, None
        last = event.time
    return done


def _slice_begin(event, last, done):
    """Where a slice begins whose first event is this: its run, or anything when that is lost."""
    if event.kind == "run":
        return event.time
    if event.kind == "exit":
        return event.time - event.fields.cost if not done else \
            max(event.time - event.fields.cost, last)
    return event.time if done else last


def _by_vcpu(slices, events):
    """The same by vCPU. A slice that reaches into the next one, on another core, is cut there."""
    vcpus = {vcpu_of(event): [] for event in events if event.kind != "doorbell"}
    for piece in sorted((piece for pieces in slices.values() for piece in pieces),
                        key=lambda piece: (piece.begin, piece.end)):
        vcpus[piece.vcpu].append(piece)
    for pieces in vcpus.values():
        for piece, following in zip(pieces, pieces[1:]):
            _cut(piece, following.begin)
    return dict(sorted(vcpus.items()))


def _cut(piece, end):
    if piece.end <= end:
        return
    piece.end = end
    piece.exits = [Exit(exit.begin, min(exit.end, end), exit.event) for exit in piece.exits
                   if exit.begin <= end]


def _sleeps(events, since, end):
    """By vCPU: its Sleeps. Who is woken first slept since the trace is complete; who is not woken
    sleeps until its VM is stopped, or on."""
    spans, asleep, seen = collections.defaultdict(list), {}, set()

    def close(vcpu, time):
        if vcpu in asleep:
            spans[vcpu].append(Sleep(asleep.pop(vcpu), time))

    for event in events:
        vcpu = vcpu_of(event)
        if event.kind == "sleep":
            asleep.setdefault(vcpu, event.time)
        elif event.kind == "wake" and vcpu not in seen and since < event.time:
            spans[vcpu].append(Sleep(since, event.time))
        elif event.kind in ("wake", "run"):
            close(vcpu, event.time)
        elif event.kind == "stop":
            for other in [other for other in asleep if other[0] == event.fields.vm]:
                close(other, event.time)
        seen.add(vcpu)
    for vcpu in list(asleep):
        close(vcpu, end)
    return spans


def _between(spans, pieces):
    """Sleeps without what lies within the slices of the same vCPU."""
    found, at = [], 0
    for begin, end in spans:
        while at < len(pieces) and pieces[at].begin <= begin:
            at += 1
        begin = max([begin] + [piece.end for piece in pieces[:at][-1:]])
        end = min([end] + [piece.begin for piece in pieces[at:at + 1]])
        if begin < end:
            found.append(Sleep(begin, end))
    return found
