# SPDX-License-Identifier: MIT
"""Builds the fuzz targets with clang and runs each for some seconds, as many at once as there are
cores; writes a JUnit report.

A target is a C file of this folder for libFuzzer; its first inputs are corpus/TARGET/*. With the
same seed and the same first inputs it tries the same ones in the same order, as far as it comes.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "iso"))

import signals
import verdict

# The sources of the hypervisor under test; some targets include theirs.
TARGETS = {
    "boot_info": ["kernel/boot_info.c"],
    "memory_map": ["kernel/mm/memory_map.c"],
    "acpi": ["kernel/acpi.c"],
    "options": ["kernel/options.c", "kernel/lib/parse.c"],
    "module_line": ["kernel/vm/module_line.c", "kernel/vm/module_keys.c",
                    "kernel/vm/module_devices.c", "kernel/lib/parse.c"],
    "elf_image": ["kernel/vm/elf_image.c", "kernel/vm/elf_file.c"],
    "start_info": ["kernel/vm/start_info.c", "kernel/vm/guest_acpi.c", "kernel/acpi.c"],
    "frames": ["kernel/mm/frames.c"],
    "frame_pool": ["kernel/mm/frame_pool.c", "kernel/mm/frames.c"],
    "ept": ["vmx/ept.c", "kernel/mm/frame_pool.c", "kernel/mm/frames.c"],
    "guest_memory": [],
    "controls": ["vmx/capabilities.c"],
    "msr_bitmap": ["vmx/msr_bitmap.c"],
    "injection": ["vmx/injection.c"],
    "audit": ["vmx/audit.c", "vmx/audit_controls.c", "vmx/audit_host.c", "vmx/audit_guest.c",
              "vmx/audit_segments.c", "vmx/vmcs_fields.c", "vmx/capabilities.c"],
    "guest_walk": [],
    "timers": ["kernel/vm/timers.c"],
    "vapic": ["kernel/vm/vapic.c"],
    "run_queue": ["kernel/vm/run_queue.c"],
    "sched": ["kernel/vm/vapic.c", "kernel/vm/run_queue.c", "kernel/vm/timers.c",
              "kernel/vm/lifecycle.c", "kernel/vm/stats.c", "kernel/lib/escape.c"],
    "hypercall": ["kernel/vm/hypercall_names.c", "kernel/vm/guest_memory.c", "kernel/vm/block.c",
                  "vmx/ept.c", "kernel/mm/frame_pool.c", "kernel/mm/frames.c"],
    "link": ["kernel/vm/guest_memory.c", "kernel/vm/frame_ledger.c", "vmx/ept.c",
             "kernel/mm/frame_pool.c", "kernel/mm/frames.c"],
    "switch": [],
    "block": [],
    "ring": ["guests/lib/ring.c"],
    "format": [],
    "psf": ["kernel/screen/psf.c"],
    "command_line": ["kernel/monitor/words.c", "kernel/lib/parse.c"],
    "line_editor": ["kernel/monitor/line_editor.c"],
    "json_row": ["kernel/monitor/output.c"],
    "console_text": ["kernel/lib/escape.c"],
    "console": [],
    "hvt_image": ["kernel/vm/hvt_image.c", "kernel/vm/elf_file.c"],
    "hvt_calls": ["vmx/exit_text.c", "vmx/msr_names.c", "vmx/instruction_error.c"],
}
COMPILER = ["clang-14", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror",
            "-Wno-unknown-pragmas", "-Wno-unknown-warning-option",  # those of gcc alone
            "-fno-omit-frame-pointer", "-fsanitize=fuzzer,address,undefined",
            "-fno-sanitize-recover=all", f"-I{HERE}", f"-I{ROOT}", f"-I{ROOT / 'include'}",
            "-DDIRECT_MAP_BASE=0ull"]
SEED = 1
INPUT_MAX = 1200    # bytes
INPUT_SECONDS = 5   # for one input
SHOWN_MAX = 4096    # bytes of an input that breaks a target
SHOWN_LINES = 60    # of what the target said
DONE = re.compile(r"^Done (\d+) runs in", re.MULTILINE)


class Failed(Exception):
    """What is wrong, for people."""


def run(words):
    """Runs a program, which stays in our process group: a signal to us ends it, too."""
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)


def compiled(name, folder):
    """Builds a target; returns its program."""
    program = folder / name
    sources = [HERE / f"{name}.c", *(ROOT / source for source in TARGETS[name])]
    process = run([*COMPILER, *map(str, sources), "-o", str(program)])
    if process.returncode != 0:
        raise Failed(f"{name} does not compile:\n{process.stdout}")
    return program


def shown(program, path):
    """An input that breaks a target, and how to see that again."""
    data = path.read_bytes()
    more = f" (the first {SHOWN_MAX})" if len(data) > SHOWN_MAX else ""
    return (f"{path.name}, {len(data)} bytes{more}:\n{data[:SHOWN_MAX].hex()}\n"
            f"again: {program} {path}   (the file anew: echo HEX | xxd -r -p >FILE)")


def fuzzed(name, folder, seconds):
    """Builds and runs a target; returns how many inputs it took."""
    program = compiled(name, folder)
    found = folder / f"{name}.found"
    corpus = folder / f"{name}.corpus"  # what it learns; begins anew, so that a run is like another
    for directory in (found, corpus):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
    process = run([str(program), f"-seed={SEED}", f"-max_total_time={seconds}",
                   f"-max_len={INPUT_MAX}", f"-timeout={INPUT_SECONDS}",
                   f"-artifact_prefix={found}/", str(corpus), str(HERE / "corpus" / name)])
    done = DONE.search(process.stdout)
    if process.returncode == 0 and done:
        return int(done[1])
    lines = [line for line in process.stdout.splitlines() if not line.startswith("#")]  # progress
    tail = "\n".join(lines[-SHOWN_LINES:])
    inputs = [shown(program, path) for path in sorted(found.iterdir())]
    raise Failed("\n".join([f"{name} ended with status {process.returncode}:", tail, *inputs]))


def fuzz_all(names, folder, seconds):
    """Yields for each target, in the order of `names`, how many inputs it took or its failure."""
    pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        runs = [pool.submit(fuzzed, name, folder, seconds) for name in names]
        for name, done in zip(names, runs):
            try:
                yield name, done.result()
            except (Failed, OSError) as error:
                yield name, error
    finally:
        pool.shutdown(cancel_futures=True)


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--build", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("--report", required=True, type=pathlib.Path, metavar="FILE")
    parser.add_argument("--time", required=True, type=int, metavar="S", help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="instead of all")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}: there are {', '.join(TARGETS)}")

    folder = arguments.build / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    suite = xml.etree.ElementTree.Element("testsuite", name="fuzz")
    failed = 0
    for name, result in fuzz_all(arguments.targets or list(TARGETS), folder, arguments.time):
        case = xml.etree.ElementTree.SubElement(suite, "testcase", classname="fuzz", name=name)
        if isinstance(result, Exception):
            failed += 1
            print(f"{name}: FAILED\n{result}", flush=True)
            xml.etree.ElementTree.SubElement(case, "failure", message=f"{name} failed")
        else:
            print(f"{name}: {result} inputs", flush=True)
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    xml.etree.ElementTree.ElementTree(suite).write(arguments.report)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        signals.unwind()
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(verdict.INTERRUPTED)
