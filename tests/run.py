# SPDX-License-Identifier: MIT
"""Runs the test suites and adds up what they report; the last line is "N passed, N failed".

Each suite writes a JUnit file. A suite that fails without a failed test in it (it could not start,
or a test crashed) counts as one failure, so that nothing broken adds up to success.
"""

import argparse
import os
import pathlib
import subprocess
import signal
import sys
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "iso"))

import signals
import verdict


def unit(build, _):
    """The command, the JUnit file and the signal that ends it cleanly, of the unit tests, which
    Meson runs: by SIGTERM, since SIGINT in its first second would make it print a traceback."""
    return ["meson", "test", "-C", str(build), "--suite", "unit", "--no-rebuild",
            "--print-errorlogs"], build / "meson-logs/testlog.junit.xml", signal.SIGTERM


def fuzz(build, arguments):
    """The same for the fuzz targets, each for so many seconds."""
    report = build / "meson-logs/fuzz.junit.xml"
    return [sys.executable, str(HERE / "fuzz/run.py"), "--build", str(build),
            "--report", str(report), "--time", str(arguments.time or FUZZ_SECONDS)], report, \
        signal.SIGINT


def boot(build, _):
    """The same for the boot tests; as many emulators at once as there are cores."""
    report = build / "meson-logs/boot.junit.xml"
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-ra",
            "-n", str(len(os.sched_getaffinity(0))), "--durations=5", f"--junit-xml={report}",
            str(HERE / "boot")], report, signal.SIGINT


def hostile(build, arguments):
    """The same for the hostile guests, many of them in each boot."""
    report = build / "meson-logs/hostile.junit.xml"
    seeds = ["--seeds", str(arguments.seeds)] if arguments.seeds else []
    return [sys.executable, str(HERE / "hostile/run.py"), "--build", str(build),
            "--report", str(report), *seeds], report, signal.SIGINT


SUITES = {"unit": unit, "fuzz": fuzz, "hostile": hostile, "boot": boot}
FUZZ_SECONDS = 3


def count(report):
    """How many tests of a JUnit file passed and how many failed. Skipped ones are neither."""
    passed = failed = 0
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" not in kinds:
            passed += 1
    return passed, failed


def whole_seconds(text):
    """The argument of --time."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10**6:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds from 1 to 1000000")
    return int(text)


def whole_seeds(text):
    """The argument of --seeds."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10**5:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of guests from 1 to 100000")
    return int(text)


def run(name, build, arguments):
    """Runs a suite; returns how many of its tests passed and failed."""
    command, report, end_by = SUITES[name](build, arguments)
    report.unlink(missing_ok=True)
    print(f"== {name}", flush=True)
    environment = dict(os.environ, ATOLL_BUILD=str(build))
    status = signals.run(command, end_by, stdin=subprocess.DEVNULL, env=environment,
                         cwd=HERE.parent).returncode
    try:
        passed, failed = count(report)
    except (OSError, xml.etree.ElementTree.ParseError):
        passed = failed = 0
    if status != 0 and failed == 0:
        print(f"{name}: failed as a whole, with status {status}", flush=True)
        failed = 1
    return passed, failed


def main():
    parser = argparse.ArgumentParser(prog="atoll test", allow_abbrev=False,
                                     usage="./atoll test [SUITE...] (more: ./atoll help test)")
    parser.add_argument("--build", default="build", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--check", action="store_true", help="only check the command line")
    parser.add_argument("--time", type=whole_seconds, metavar="S",
                        help=f"for each fuzz target (default {FUZZ_SECONDS})")
    parser.add_argument("--seeds", type=whole_seeds, metavar="N",
                        help="random guests of the suite hostile")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}")
    arguments = parser.parse_args()
    for name in arguments.suites:
        if name not in SUITES:
            parser.error(f"no suite {name}: there are {', '.join(SUITES)}")
    if arguments.time and arguments.suites and "fuzz" not in arguments.suites:
        parser.error("--time is for the suite fuzz")
    if arguments.seeds and arguments.suites and "hostile" not in arguments.suites:
        parser.error("--seeds is for the suite hostile")
    if arguments.check:
        return 0
    try:
        signals.unwind()
        results = [run(name, arguments.build.resolve(), arguments)
                   for name in arguments.suites or SUITES]
    except KeyboardInterrupt:
        print("\natoll test: interrupted", file=sys.stderr)
        return verdict.INTERRUPTED
    passed = sum(result[0] for result in results)
    failed = sum(result[1] for result in results)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if passed > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
