# SPDX-License-Identifier: MIT
"""Turns a dump of the trace into what can be looked at: a table, JSON for ui.perfetto.dev, a folder
for babeltrace2, a picture.

Exit status: 0; 2 for wrong usage and for a dump that is not whole, of which the rest is used.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "iso"))

import chrome
import dump
import make_iso
import signals
import timeline
import verdict

CTF_FILE = re.compile(r"metadata|stream-\d+")  # what an earlier run left in a folder


def milliseconds(text):
    """For argparse: a place in the trace."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds")
    return value


def parse(words):
    parser = argparse.ArgumentParser(
        prog="atoll trace", allow_abbrev=False,
        usage="./atoll trace [OPTION...] FILE (more: ./atoll help trace)")
    parser.add_argument("--check", action="store_true", help="only check the command line")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("-o", dest="json", metavar="OUT.json")
    parser.add_argument("--ctf", metavar="DIR")
    parser.add_argument("--plot", metavar="OUT.png")
    parser.add_argument("--from", dest="begin", type=milliseconds, metavar="MS")
    parser.add_argument("--to", dest="end", type=milliseconds, metavar="MS")
    parser.add_argument("--summary", action="store_true")
    arguments = parser.parse_args(words)
    if (arguments.begin or 0) >= (float("inf") if arguments.end is None else arguments.end):
        parser.error("--from must be less than --to")
    if not arguments.plot and (arguments.begin, arguments.end) != (None, None):
        parser.error("--from and --to choose what --plot shows")
    if arguments.summary and arguments.json:
        parser.error("--summary writes no JSON; leave it or -o away")
    if arguments.json is None and not arguments.summary:
        arguments.json = arguments.file + ".json"
    return arguments


def check(arguments):
    """Raises UsageError where the files cannot be what they are to be."""
    if not pathlib.Path(arguments.file).is_file():
        raise make_iso.UsageError(f"no file {arguments.file}")
    for path, option in ((arguments.json, "-o"), (arguments.plot, "--plot")):
        if path is not None:
            make_iso.check_writable(path, option)
            if os.path.exists(path) and os.path.samefile(path, arguments.file):
                raise make_iso.UsageError(f"{option} {path}: is the dump itself")
    if arguments.ctf is not None:
        check_folder(pathlib.Path(arguments.ctf))


def check_folder(folder):
    """An existing one may hold nothing but what is to be replaced."""
    if folder.exists() and not folder.is_dir():
        raise make_iso.UsageError(f"--ctf {folder}: is no folder")
    if folder.is_dir():
        for entry in folder.iterdir():
            if not CTF_FILE.fullmatch(entry.name):
                raise make_iso.UsageError(f"--ctf {folder}: holds {entry.name}; name a new folder")
    elif not folder.parent.is_dir():
        raise make_iso.UsageError(f"--ctf {folder}: there is no folder {folder.parent}")


def write_json(trace, line, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(chrome.of(trace, line), file, separators=(",", ":"), allow_nan=False)
        file.write("\n")


def write_ctf(trace, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    for entry in folder.iterdir():
        entry.unlink()
    (folder / "metadata").write_bytes(trace.metadata)
    for packet in trace.packets:
        with open(folder / f"stream-{packet.core}", "ab") as stream:
            stream.write(packet.bytes)


def write_plot(trace, line, arguments):
    try:
        import plot  # only here: it needs matplotlib
    except ImportError:
        raise make_iso.UsageError("--plot: no matplotlib; install the package python3-matplotlib") \
            from None
    plot.draw(trace, line, arguments.plot, arguments.begin, arguments.end)


def summary(trace, line):
    """The lines of the table."""
    scale = 1e6 / trace.frequency
    names = chrome.Names(trace)
    overwritten = {core: count for core, count in trace.overwritten().items() if count}
    length = (line.end - line.begin) * scale / 1000
    yield f"{len(line.events)} events in {length:.3f} ms on {len(line.cores)} cores; " \
          f"TSC: {trace.frequency / 1e6:.3f} MHz"
    vms = ", ".join(names.vm(vm) for vm in sorted({vm for vm, _ in line.vcpus}))
    yield f"VMs: {vms}"
    if overwritten:
        cores = ", ".join(f"core {core}: {count}" for core, count in sorted(overwritten.items()))
        yield f"{sum(overwritten.values())} events before these were overwritten: the ring of a " \
              f"core holds 64 KiB ({cores})"
    yield ""
    yield f"{'EVENT':<12}{'COUNT':>10}"
    for kind, count in collections.Counter(event.kind for event in line.events).most_common():
        yield f"{kind:<12}{count:>10}"
    costs = collections.defaultdict(list)
    for event in line.events:
        if event.kind == "exit":
            costs[trace.exit_name(event.fields.reason)].append(event.fields.cost)
    if not costs:
        return
    yield ""
    yield f"{'EXIT':<30}{'COUNT':>8}{'TIME us':>12}{'SHARE':>8}{'MEAN ticks':>12}" \
          f"{'MAX':>10}"
    total = max(sum(map(sum, costs.values())), 1)
    for name, values in sorted(costs.items(), key=lambda row: (-sum(row[1]), row[0])):
        yield f"{name[:29]:<30}{len(values):>8}{sum(values) * scale:>12.1f}" \
              f"{100 * sum(values) / total:>7.1f}%{statistics.fmean(values):>12.0f}" \
              f"{max(values):>10}"


def run(arguments):
    try:
        trace = dump.read(arguments.file)
    except dump.NotADump as error:
        raise make_iso.UsageError(f"{arguments.file}: {error}") from None
    line = timeline.of(trace)
    if arguments.json:
        write_json(trace, line, arguments.json)
    if arguments.ctf:
        write_ctf(trace, arguments.ctf)
    if arguments.plot:
        write_plot(trace, line, arguments)
    print("\n".join(summary(trace, line)))
    if trace.problems:
        more = len(trace.problems) - 1
        raise make_iso.UsageError(f"{arguments.file}: {trace.problems[0]}" +
                                  f" (and {more} more)" * (more > 0) + "; the rest was used")
    return verdict.GOOD


def main():
    arguments = parse(sys.argv[1:])
    try:
        signals.unwind()
        check(arguments)
        return verdict.GOOD if arguments.check else run(arguments)
    except make_iso.UsageError as error:
        print(f"atoll trace: {error}", file=sys.stderr)
        return verdict.WRONG_USAGE
    except BrokenPipeError:  # `./atoll trace FILE | head`: what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return verdict.INTERRUPTED
    except OSError as error:
        print(f"atoll trace: {make_iso.reason(error)}", file=sys.stderr)
        return verdict.WRONG_USAGE
    except KeyboardInterrupt:
        print("\natoll trace: interrupted", file=sys.stderr)
        return verdict.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
