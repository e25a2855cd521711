# SPDX-License-Identifier: MIT
"""Boots guests or a demo in an emulator, streams the serial console, and says how it went. Who
starts it at a terminal types at the machine.

Exit status: 0 when every guest ended with status 0, 1 when one did not, 2 for wrong usage, 3 when
the hypervisor refused or panicked, 124 on timeout.
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys

import demos
import machine
import make_iso
import signals
import terminal
import verdict

TIMEOUT = 300
TRACE_TOOL = pathlib.Path(__file__).resolve().parent.parent / "tools/trace.py"


def whole_number(text):
    """For argparse: its own words for what int() refuses name Python's type."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def seconds(text):
    """For argparse: how long to wait."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds (0: never)")
    return value


def parse(words):
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--build", default="build", metavar="DIR",
                        help="where the hypervisor was built")
    common.add_argument("--check", action="store_true",
                        help="only check the command line, before anything is built")
    common.add_argument("--machine", choices=("bochs", "qemu"),
                        help="default: qemu where KVM offers VMX, else bochs")
    common.add_argument("--cpus", type=whole_number, metavar="N", help="number of cores")
    common.add_argument("--mem", type=whole_number, metavar="MIB",
                        help="memory of the machine")
    common.add_argument("--cpu-model", default="", metavar="M", help="the emulator's CPU model")
    common.add_argument("--uefi", action="store_true", help="boot by UEFI (qemu only)")
    common.add_argument("--timeout", type=seconds, metavar="S",
                        help=f"stop after S seconds, 0: never (default {TIMEOUT}, never at a "
                             "terminal)")
    common.add_argument("--interact", action="store_true",
                        help="type what comes on standard input, terminal or not")
    common.add_argument("--serial", metavar="FILE", help="write the serial console to FILE too")
    common.add_argument("--opts", default="", metavar="OPTIONS", help="options of the hypervisor")
    common.add_argument("--trace", metavar="FILE", help="dump a trace to FILE; JSON to FILE.json")
    common.add_argument("--plot", metavar="OUT.png", help="draw the trace")

    parser = argparse.ArgumentParser(prog="atoll")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", parents=[common], allow_abbrev=False,
                              usage="./atoll run [OPTION...] -- GUEST... (more: ./atoll help run)")
    run.add_argument("guests", nargs="*", metavar="GUEST",
                     help='one string: "path/to/image name key=value ..."')
    demo = commands.add_parser("demo", parents=[common], allow_abbrev=False,
                               usage="./atoll demo [OPTION...] [NAME] (more: ./atoll help demo)")
    demo.add_argument("name", nargs="?", metavar="NAME")

    arguments, unknown = parser.parse_known_args(words)
    if unknown:  # said here, because argparse would show the usage of both commands at once
        commands.choices[arguments.command].error(f"cannot do anything with {' '.join(unknown)}")
    if arguments.plot is not None and arguments.trace is None:
        commands.choices[arguments.command].error("--plot draws a trace: add --trace FILE")
    if arguments.command == "run" and not arguments.guests:
        run.error('name the guests after --, each "path/to/image name key=value ..."')
    return arguments


def choose_demo(name):
    known = demos.read()
    if demo := demos.named(known[0].name if name is None else name):
        return demo
    names = ", ".join(demo.name for demo in known)
    raise make_iso.UsageError(f"no demo {name or repr(name)}: there are {names}")


def demo_status(demo, result):
    """A demo whose guests end as they are meant to has gone well."""
    if result.status not in (verdict.GOOD, verdict.GUEST_FAILED):
        return result.status
    return verdict.GOOD if result.ended == (demo.good, len(demo.guests)) else verdict.GUEST_FAILED


def options_of(arguments, demo_options=""):
    """The options of the hypervisor."""
    trace = "trace=com2" if arguments.trace is not None else ""
    words = (demo_options, trace, arguments.opts)
    return make_iso.ends_by_itself(" ".join(word for word in words if word))


def convert_trace(arguments):
    """Makes JSON and a picture of the dump, if there is one, and shows the table on standard error.
    The run's status stays what it is, however it ended."""
    path = pathlib.Path(arguments.trace)
    if not path.is_file() or path.stat().st_size == 0:
        print(f"atoll {arguments.command}: nothing was dumped to {path}", file=sys.stderr)
        return
    plot = ["--plot", arguments.plot] if arguments.plot is not None else []
    if signals.run([sys.executable, str(TRACE_TOOL), *plot, "--", arguments.trace],
                   stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode == 0:
        print(f"atoll {arguments.command}: traced to {arguments.trace}, {arguments.trace}.json" +
              (f", {arguments.plot}" if plot else ""), file=sys.stderr)


def standard_input(wanted):
    """Its descriptor; None where it is not wanted or not there."""
    return sys.stdin.fileno() if wanted and sys.stdin else None


def run(arguments):
    demo = None
    if arguments.command == "demo":
        demo = choose_demo(arguments.name)
        options = options_of(arguments, demo.options)
        entry = make_iso.Entry(demo.name, options, demo.guest_lines(arguments.build))
        cpus, mem = demo.cpus, demo.mem
    else:
        entry = make_iso.Entry("run", options_of(arguments), arguments.guests)
        cpus, mem = 2, 256

    person = terminal.usable()
    if arguments.timeout is None:
        arguments.timeout = 0 if person else TIMEOUT
    spec = machine.Spec(
        iso=None, machine=arguments.machine or machine.best(),
        cpus=cpus if arguments.cpus is None else arguments.cpus,
        mem=mem if arguments.mem is None else arguments.mem, cpu_model=arguments.cpu_model,
        uefi=arguments.uefi, timeout=arguments.timeout, trace=arguments.trace, paced=person)
    problem = machine.wrong(spec) or (None if arguments.check else machine.missing(spec))
    if problem:
        raise make_iso.UsageError(problem)
    make_iso.check_lines(arguments.opts, [] if demo else arguments.guests)
    if arguments.serial is not None:
        make_iso.check_writable(arguments.serial, "--serial")
    for path, option in ((arguments.trace, "--trace"), (arguments.plot, "--plot")):
        if path is not None:
            make_iso.check_writable(path, option)
    if arguments.check:
        return verdict.GOOD

    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(signals.folder("atoll-"))
        serial = arguments.serial and stack.enter_context(open(arguments.serial, "w"))
        spec.iso = pathlib.Path(directory) / "atoll.iso"
        make_iso.make_iso(spec.iso, pathlib.Path(arguments.build) / "atoll.elf", [entry])
        print(f"atoll {arguments.command}: booting {spec.machine} with {spec.cpus} "
              f"core{'s'[:spec.cpus != 1]} and {spec.mem} MiB", file=sys.stderr, flush=True)
        if person:
            print(f"atoll {arguments.command}: any key opens the monitor, Ctrl-C ends the run",
                  file=sys.stderr, flush=True)

        def show(line):
            if not person:
                print(line, flush=True)
            if serial:
                print(line, file=serial, flush=True)

        try:
            if person:
                with terminal.Terminal() as screen:
                    result = machine.boot(spec, show, keys=screen.input, on_bytes=screen.show)
            else:
                result = machine.boot(spec, show, keys=standard_input(arguments.interact))
        finally:
            if spec.trace:
                convert_trace(arguments)
    if result.complaint:
        print(f"atoll {arguments.command}: {result.complaint}", file=sys.stderr)
    return demo_status(demo, result) if demo else result.status


def main():
    arguments = parse(sys.argv[1:])
    try:
        signals.unwind()
        return run(arguments)
    except make_iso.UsageError as error:
        print(f"atoll {arguments.command}: {error}", file=sys.stderr)
        return verdict.WRONG_USAGE
    except BrokenPipeError:  # `./atoll demo | head`: what is left in Python's buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"atoll {arguments.command}: stopped: nothing reads the output any more",
              file=sys.stderr)
        return verdict.INTERRUPTED
    except OSError as error:
        print(f"atoll {arguments.command}: {make_iso.reason(error)}", file=sys.stderr)
        return verdict.WRONG_USAGE
    except KeyboardInterrupt:
        print(f"\natoll {arguments.command}: interrupted", file=sys.stderr)
        return verdict.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
