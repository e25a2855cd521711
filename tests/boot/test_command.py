# SPDX-License-Identifier: MIT
"""The command ./atoll: what it prints and how it ends."""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import termios
import time

import pexpect
import pytest

from harness import BUILD, ROOT, image

import demos


@pytest.fixture
def atoll(tmp_path):
    """Runs ./atoll with these words; its temporary files go where pytest removes them."""
    environment = dict(os.environ, ATOLL_BUILD=str(BUILD), TMPDIR=str(tmp_path))

    def start(*words, command=ROOT / "atoll", **more_environment):
        return subprocess.Popen([command, *map(str, words)], env=environment | more_environment,
                                cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, process_group=0)

    def run(*words, timeout=300):
        process = start(*words)
        try:
            process.stdout_text, process.stderr_text = process.communicate(timeout=timeout)
        finally:
            process.kill()
        return process

    run.start = start
    return run


def left_behind(directory):
    return [path.name for path in directory.iterdir() if path.name.startswith("atoll-")]


@pytest.mark.parametrize("words", [
    [], ["frobnicate"], ["run"], ["run", "--"], ["run", "--frobnicate", "--", "x"],
    ["run", "--cpus", "0", "--", "x"], ["run", "--cpus", "many", "--", "x"],
    ["run", "--cpus", "16", "--machine", "bochs", "--", "x"],
    ["run", "--machine", "toaster", "--", "x"], ["run", "--timeout", "-1", "--", "x"],
    ["run", "--uefi", "--machine", "bochs", "--", "x"], ["run", "--list"],
    ["run", "--", "/nonexistent.elf x"], ["run", "--", "it's"],
    ["run", "--cpu-model", "z80", "--machine", "bochs", "--", "/dev/null x"],
    ["demo", "frobnicate"], ["demo", "hello", "tour"],
    ["iso", "--", "x"], ["iso", "-o", "x.iso"], ["test", "frobnicate"],
    ["run", "--cpus", "1000", "--machine", "qemu", "--", "x"],
    ["run", "--cpu-model", "z80", "--machine", "qemu", "--", "/dev/null x"],
    ["demo", ""], ["test", "--", "frobnicate"], ["bench", "--json"], ["bench", "--frobnicate"],
], ids=" ".join)
def test_wrong_usage(atoll, words):
    process = atoll(*words)
    assert process.returncode == 2, process.stderr_text
    assert process.stderr_text.strip()
    assert process.stdout_text == ""


@pytest.mark.parametrize("words, says", [
    (["demo", "hello", "tour"], "usage: ./atoll demo"), (["demo", "--frob"], "--frob"),
    (["run", "--mach", "qemu", "--", "x"], "--mach"),  # ./atoll looks for the whole word
    (["run", "--mem", "64M", "--", "x"], "'64M' is no whole number"),
    (["run", "--timeout", "nan", "--", "x"], "'nan' is no number of seconds"),
    (["run", "--", "it's"], "No closing quotation"), (["run", "--", ""], "an empty guest"),
    (["run", "--opts", "it's", "--", "x"], "options \"it's\": No closing quotation"),
    (["run", "--serial", "none/x", "--", "x"], "--serial none/x: there is no folder none"),
    (["run", "--serial", "", "--", "x"], "name a file"),
    (["iso", "-o", "none/x", "--", "x"], "-o none/x: there is no folder none"),
    (["iso", "-o", "/tmp", "--", "x"], "-o /tmp: is a folder"),
    (["iso", "-o", "x", "--demos", "--", "x"], "--demos takes no guests"),
], ids=str)
def test_wrong_usage_is_said_before_anything_is_built(atoll, words, says):
    process = atoll(*words)
    assert process.returncode == 2, process.stderr_text
    assert says in process.stderr_text
    assert "building" not in process.stderr_text
    assert len(process.stderr_text.splitlines()) <= 2


@pytest.mark.parametrize("words", [
    ["help"], ["--help"], ["help", "run"], ["demo", "--help"], ["run", "--help"],
    ["iso", "--help"], ["test", "--help"], ["bench", "--help"], ["help", "bench"],
], ids=" ".join)
def test_help(atoll, words):
    process = atoll(*words)
    assert process.returncode == 0
    assert "./atoll" in process.stdout_text


def test_lists(atoll):
    process = atoll("demo", "--list")
    assert process.returncode == 0
    assert [line.split()[0] for line in process.stdout_text.splitlines()] == \
        [demo.name for demo in demos.read()]
    assert "boot" in atoll("test", "--list").stdout_text
    names = atoll("bench", "--list").stdout_text.split()
    assert "vm_memory" in names and "shares_30_on_4" in names and len(set(names)) == len(names)


def test_bench_knows_no_such_figure(atoll):
    """All figures there are stand in the one line that says so, below the usage."""
    process = atoll("bench", "vm_memory", "frobnicate")
    assert process.returncode == 2 and process.stdout_text == ""
    assert "building" not in process.stderr_text
    usage, said = process.stderr_text.splitlines()
    assert usage.startswith("usage: ./atoll bench")
    assert "no figure frobnicate" in said and "vm_memory" in said


def test_bench_measures_and_writes_json(atoll, tmp_path):
    process = atoll("bench", "--json", "rows.json", "vm_memory")
    assert process.returncode == 0, process.stdout_text + process.stderr_text
    shown, last = process.stdout_text.splitlines()
    assert last == "1 figures, 0 missed"
    row, = json.loads((tmp_path / "rows.json").read_text())
    assert set(row) == {"name", "value", "unit", "vmreads", "vmwrites"}
    assert row["name"] == "vm_memory" and row["unit"] == "KiB"
    assert 0 < row["value"] <= 32
    assert shown.split()[:3] == ["vm_memory", str(row["value"]), "KiB"]
    assert left_behind(tmp_path) == []

    process = atoll("bench", "--compare", "rows.json", "vm_memory")
    assert process.stdout_text.splitlines()[-2:] == ["all as before", last]
    row["value"] += 8
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    process = atoll("bench", "--compare", "rows.json", "vm_memory")
    assert f"vm_memory: {row['value']} -> {row['value'] - 8} KiB (-20.0 %)" in process.stdout_text


def test_bench_compares_with_rows_only(atoll, tmp_path):
    (tmp_path / "bad.json").write_text('{"name": 1}')
    for name in ("bad.json", "none.json"):
        process = atoll("bench", "--compare", name, "vm_memory")
        assert process.returncode == 2 and "Traceback" not in process.stderr_text
        assert name in process.stderr_text


def test_bench_says_that_it_cannot_write(atoll):
    process = atoll("bench", "--json", "none/x", "vm_memory")
    assert process.returncode == 2, process.stderr_text
    assert "none/x" in process.stderr_text and "Traceback" not in process.stderr_text


def test_run_succeeds_and_writes_the_console(atoll, tmp_path):
    process = atoll("run", "--machine", "bochs", "--serial", tmp_path / "serial.txt", "--",
                    f"{image('hello')} a", f"{image('hello')} b")
    assert process.returncode == 0, process.stdout_text + process.stderr_text
    assert "all guests ended: 2 of 2 with status 0" in process.stdout_text
    assert (tmp_path / "serial.txt").read_text() == process.stdout_text
    assert left_behind(tmp_path) == []


def test_run_says_that_a_guest_failed(atoll):
    process = atoll("run", "--machine", "bochs", "--", f"{image('hello')} a",
                    f"{image('crash')} b cmdline=\"how=exit status=7\"")
    assert process.returncode == 1, process.stdout_text + process.stderr_text


def test_run_says_that_the_machine_was_refused(atoll):
    process = atoll("run", "--machine", "bochs", "--cpu-model", "ryzen", "--",
                    f"{image('hello')} a")
    assert process.returncode == 3, process.stdout_text + process.stderr_text


def test_timeout(atoll, tmp_path):
    start = time.monotonic()
    process = atoll("run", "--machine", "bochs", "--timeout", "5", "--",
                    f"{image('witness')} w cmdline=\"ms=100000000\"")
    assert process.returncode == 124, process.stdout_text + process.stderr_text
    assert 5 <= time.monotonic() - start < 60
    assert "stopped" in process.stderr_text
    kept, = left_behind(tmp_path)
    assert kept in process.stderr_text


def processes_that_name(path):
    """The command lines of running processes in which `path` stands."""
    found = []
    for command_line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = command_line.read_text(errors="replace")
        except OSError:  # it has just ended
            continue
        if str(path) in text:
            found.append(text.replace("\0", " "))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_emulator_too(atoll, tmp_path, number):
    process = atoll.start("run", "--machine", "bochs", "--", f"{image('witness')} w "
                          'cmdline="ms=100000000"')
    assert process.stdout.readline()  # the machine runs
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert left_behind(tmp_path) == []
    time.sleep(0.2)
    assert processes_that_name(tmp_path) == []


@pytest.fixture
def terminal(tmp_path):
    """Runs a program at a terminal; what it is handed is a pexpect.spawn with `mode` in addition,
    how the terminal was at first."""
    started = []

    def start(program, *words):
        environment = dict(os.environ, ATOLL_BUILD=str(BUILD), TMPDIR=str(tmp_path), TERM="dumb")
        process = pexpect.spawn(str(program), [str(word) for word in words], env=environment,
                                timeout=120, cwd=str(tmp_path))
        process.mode = termios.tcgetattr(process.child_fd)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close(force=True)


COUNTING = ["run", "--machine", "bochs", "--cpus", "1"]


def counter(ms):
    """A guest that says again and again that it is alive, for so long."""
    return f'{image("witness")} w cmdline="ms={ms}"'


def is_raw(process):
    mode = termios.tcgetattr(process.child_fd)
    return not mode[1] & termios.OPOST and not mode[3] & (termios.ECHO | termios.ICANON)


@pytest.mark.parametrize("how, status", [
    ("end", 0), ("ctrl-c", 130), ("SIGTERM", 130), ("timeout", 124)])
def test_a_terminal_is_the_machine_s_and_then_given_back(terminal, tmp_path, how, status):
    limit = ["--timeout", "12"] * (how == "timeout")
    process = terminal(ROOT / "atoll", *COUNTING, *limit, "--",
                       counter(500 if how == "end" else 100000000))
    process.expect_exact("w| witness")
    assert is_raw(process) and process.mode[3] & termios.ECHO
    if how == "ctrl-c":
        process.sendintr()
    elif how == "SIGTERM":
        process.kill(signal.SIGTERM)
    process.expect(pexpect.EOF)
    assert termios.tcgetattr(process.child_fd) == process.mode
    process.wait()
    assert process.exitstatus == status, process.before
    assert b"\r\r\n" not in process.before  # the bytes of the machine, not a line for a line
    time.sleep(0.2)
    assert processes_that_name(tmp_path) == []


def test_ctrl_z_gives_the_terminal_back_for_so_long(terminal):
    shell = terminal("/bin/bash", "--norc", "--noprofile", "--noediting")
    shell.sendline("PS1='$''> '; echo")
    shell.expect_exact("\r\n$> ")
    shell.sendline(shlex.join([str(ROOT / "atoll"), *COUNTING, "--", counter(100000000)]))
    shell.expect_exact("w| witness")
    assert is_raw(shell)
    shell.send(b"\x1a")
    shell.expect_exact("Stopped")
    shell.expect_exact("\r\n$> ")
    assert termios.tcgetattr(shell.child_fd) == shell.mode
    shell.sendline("fg")
    shell.expect_exact("w| witness")
    assert is_raw(shell)
    shell.sendintr()
    shell.expect_exact("interrupted")
    shell.expect_exact("\r\n$> ")
    assert termios.tcgetattr(shell.child_fd) == shell.mode


def test_who_is_in_the_background_does_not_take_the_terminal(terminal):
    shell = terminal("/bin/bash", "--norc", "--noprofile", "--noediting")
    shell.sendline(shlex.join([str(ROOT / "atoll"), *COUNTING, "--", counter(300)]) +
                   " & wait; echo status=$?.")
    shell.expect_exact("w| witness")
    assert termios.tcgetattr(shell.child_fd) == shell.mode
    shell.expect(rb"\nstatus=(\d+)\.")
    assert shell.match[1] == b"0"


def test_a_script_that_types_may_end(atoll, tmp_path):
    """Its end is not the end of the run."""
    process = atoll("run", "--interact", "--machine", "bochs", "--", f"{image('hello')} a")
    assert process.returncode == 0, process.stdout_text + process.stderr_text


def test_nobody_is_waited_for_when_all_is_over(console):
    """A machine that stays on is left to who types, not to who has stopped typing."""
    machine = console([f"{image('hello')} a"], options="onidle=halt", cpus=1)
    machine.expect(rb"all guests ended: 1 of 1")
    time.sleep(7)
    assert machine.isalive()
    machine.close()
    assert not machine.isalive() and machine.result.status == 0


def test_a_reader_that_leaves_ends_the_run(atoll, tmp_path):
    process = atoll.start("run", "--machine", "bochs", "--", f"{image('hello')} a")
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(20) == 130, said
    assert "nothing reads the output" in said and "Broken pipe" not in said
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("delay", [0.03, 0.1, 0.2, 0.4, 0.7])
@pytest.mark.parametrize("words", [
    ["demo", "--machine", "bochs"], ["iso", "-o", "x.iso", "--demos"], ["test", "unit"],
], ids=" ".join)
def test_ctrl_c_early_is_said_in_one_word(atoll, tmp_path, words, delay):
    """Wherever it comes: in a Python that starts, the build, grub-mkrescue or a test."""
    process = atoll.start(*words)
    while not catches(process, signal.SIGINT):  # Bash has got as far as its trap
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert "Traceback" not in said
    # Killed by it: between Bash and the program that it becomes. A shell calls that 130 too.
    assert process.returncode in (0, 130, -signal.SIGINT), said
    assert [path.name for path in tmp_path.iterdir() if path.name != "x.iso"] == []
    assert processes_that_name(tmp_path) == []


def catches(process, number):
    """Whether the process has a handler of that signal, or has replaced itself."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    caught = int(re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.M)[1], 16)
    return bool(caught & 1 << number - 1)


@pytest.fixture
def clone(tmp_path):
    """A tree of its own, in a folder with a blank: what a test of the build may break."""
    tree = tmp_path / "a tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", "build*", "__pycache__"))
    return tree


def test_the_build_can_be_interrupted_and_repaired(atoll, tmp_path, clone):
    def make(tree):
        return atoll.start("iso", "-o", tmp_path / "x.iso", "--demos", command=tree / "atoll",
                           ATOLL_BUILD=str(tree / "build"))

    process = make(clone)
    while "building" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(1)
    process.terminate()  # the script alone: what it started must end all the same
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and "interrupted" in said
    assert processes_that_name(clone) == []
    assert [path.name for path in tmp_path.iterdir()] == [clone.name]

    said_when_done(make(clone))
    assert "configuring" not in said_when_done(make(clone))
    (clone / "build/meson-private/coredata.dat").unlink()
    said_when_done(make(clone))
    moved = clone.rename(tmp_path / "moved")
    said_when_done(make(moved))
    assert not clone.exists()


def said_when_done(process):
    """What a process said that ended well."""
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    return said


def test_a_build_folder_that_cannot_be_written(atoll, tmp_path):
    (tmp_path / "file").touch()
    process = atoll.start("iso", "-o", "x.iso", "--demos", ATOLL_BUILD=str(tmp_path / "file"))
    _, said = process.communicate(timeout=20)
    assert process.returncode == 4 and said.strip().endswith("by ATOLL_BUILD=DIR"), said


def boot_catalogue(iso):
    """The platforms of El Torito that an image boots on."""
    report = subprocess.run(["xorriso", "-indev", str(iso), "-report_el_torito", "plain"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            check=True)
    return {line.split()[6] for line in report.stdout.splitlines()
            if line.startswith("El Torito boot img :")}


@pytest.mark.parametrize("what", [["--", f"{image('hello')} a"], ["--demos"]],
                         ids=["guests", "demos"])
def test_iso_boots_both_ways(atoll, tmp_path, what):
    process = atoll("iso", "-o", tmp_path / "my image.iso", *what)
    assert process.returncode == 0, process.stderr_text
    assert boot_catalogue(tmp_path / "my image.iso") == {"BIOS", "UEFI"}


def test_no_package_is_missing_here(atoll, tmp_path):
    process = atoll("iso", "--no-install", "-o", tmp_path / "x.iso", "--", f"{image('hello')} a")
    assert process.returncode == 0, process.stderr_text
