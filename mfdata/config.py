"""Every configuration key of mfdata, declared once."""

from __future__ import annotations

from dataclasses import dataclass

from mfext.option import option
from mfext.plugin.daemon import Daemon
from mfext.plugin.process_options import ProcessOptions
from mfext.section import FreeSection, Schema, Section


@dataclass(frozen=True)
class Incoming(Section):
    """Where files come in, and how they are taken."""

    directories: tuple[str, ...] = option(
        ("incoming",), help="External directories: names below var/in, or absolute paths.", example="incoming:/data/in"
    )
    destination: str = option("switch/main", help="The step that gets every accepted file, as PLUGIN/STEP.")
    ignore: tuple[str, ...] = option(
        (".*", "*.tmp", "*.t", "*.part", "*.partial", "*.filepart", "*.working", "*.crdownload"),
        help="Names that are left alone, as shell patterns: files that are still being written.",
    )
    stable_for: float = option(
        5.0,
        unit="s",
        minimum=0,
        help="A file found without an event, where no lease can tell that nobody writes it, is taken once its size "
        "and modification time have stood still for this long.",
    )
    rescan_interval: float = option(
        300.0, unit="s", minimum=1, help="Time between two listings that look for files no event told of."
    )
    priority: int = option(5, minimum=0, maximum=9, help="Priority of accepted files in the queues, 0 comes first.")


@dataclass(frozen=True)
class Safety(Section):
    """What is done so that no file is lost, and at what price."""

    durability: str = option(
        "crash",
        choices=("crash", "power"),
        help="What a file survives once accepted: crash = the death of any process, power = a power cut as well "
        "(every hand-over is brought to disk).",
    )
    max_crashes: int = option(
        3, minimum=1, help="A file during whose processing the worker died this often is quarantined."
    )
    max_steps: int = option(
        100, minimum=1, help="A file that went through this many steps is quarantined: it runs in a circle."
    )


@dataclass(frozen=True)
class Pressure(Section):
    """When no more files are taken for a while: they stay in their incoming directories, and receivers refuse them."""

    max_waiting: int = option(
        0, minimum=0, help="Intake pauses when more files than this wait, in all queues together; 0 = never."
    )
    resume_waiting: int = option(
        0, minimum=0, help="It goes on when no more than this wait; 0 = four fifths of max_waiting."
    )
    min_free: int = option(
        200_000_000,
        unit="bytes",
        minimum=0,
        help="Intake pauses when less than this is free on the disk of var or log; on a small disk when less than "
        "min_free_percent is free.",
    )
    min_free_percent: float = option(
        1.0, minimum=0, maximum=100, help="Of a disk and of its inodes: see min_free; 0 = it never pauses for a disk."
    )
    resume_free: int = option(
        0, unit="bytes", minimum=0, help="It goes on when this is free again; 0 = a quarter more than made it pause."
    )


@dataclass(frozen=True)
class Quarantine(Section):
    """Files that are kept for somebody to look at."""

    lifetime: float = option(
        0.0,
        unit="s",
        minimum=0,
        help="A file that has been in quarantine for longer than this is deleted, with a line in the trace; 0 = never.",
        example="604800",
    )


@dataclass(frozen=True)
class InternalPlugins(Section):
    """Built-in plugins."""

    install_switch: bool = option(
        True, help="Run the switch, which identifies files and routes them by the plugins' rules."
    )
    switch_numprocesses: int = option(1, minimum=0, help="Number of switch processes.")
    switch_no_match_policy: str = option(
        "keep",
        help="For files that no rule wants: keep (quarantined as no_match), drop, or a step as PLUGIN/STEP.",
    )
    install_ftp_receiver: bool = option(False, help="Run the FTP receiver, set up by config/plugins/ftp_receiver.ini.")
    install_http_receiver: bool = option(
        False, help="Run the HTTP receiver, set up by config/plugins/http_receiver.ini."
    )


@dataclass(frozen=True)
class Trace(Section):
    """What is kept of the lives of files."""

    max_size: int = option(
        100_000_000, unit="bytes", minimum=100_000, help="Size at which a process starts a new trace file."
    )
    keep: int = option(10, minimum=1, help="Full trace files that each process keeps.")


@dataclass(frozen=True)
class StepConfig(ProcessOptions):
    """A step: which files it wants, how it runs, what happens when it fails."""

    max_age: float = option(
        0.0, unit="s", minimum=0, help="Age at which a process leaves between two files and is started anew; 0 = never."
    )
    max_age_variance: float = option(
        0.0, unit="s", minimum=0, help="Random time added to max_age, so that processes do not all leave at once."
    )
    debug: bool = option(False, help="Log at level DEBUG.")

    switch_logical_condition: str = option(
        "False",
        help="The files that this step wants from the switch: a Python expression over x, of tag names to bytes.",
        example="( x['latest.switch.main.system_magic'].startswith(b'PNG image') )",
    )
    switch_priority: int = option(
        -1,
        minimum=-1,
        maximum=9,
        help="Priority, in this step's queue, of the files that switch_logical_condition wants: 0 comes first; "
        "-1 = as priority says.",
    )
    listened_directories: str = option(
        "{{AUTO}}",
        help="Names of directories below var/in that this step listens to, separated by ':', no '/' allowed; "
        "{{AUTO}} stands for step.PLUGIN.STEP.",
    )
    timeout: float = option(
        600.0,
        unit="s",
        minimum=0,
        help="Time that one file, or one batch, may take; then the process is killed; 0 = no limit.",
    )
    batch_max_size: int = option(
        100, minimum=1, help="For a step that takes batches: number of files that it gets at once, at most."
    )
    batch_max_wait: float = option(
        1.0,
        unit="s",
        minimum=0,
        help="For a step that takes batches: time for which the first file waits for others; it is part of timeout.",
    )
    retry_total: int = option(0, minimum=0, help="Number of new tries when a file failed.")
    retry_min_wait: float = option(10.0, unit="s", minimum=0, help="Wait before the first new try.")
    retry_max_wait: float = option(120.0, unit="s", minimum=0, help="Longest wait before a new try.")
    retry_backoff: float = option(
        0.0,
        minimum=0,
        help="Growth of the wait; before try n: retry_min_wait + retry_backoff * 2^(n-1) s, at most retry_max_wait.",
    )
    failure_policy: str = option(
        "quarantine",
        help="What becomes of a file that failed for good: quarantine, delete, or move:PLUGIN/STEP.",
        pattern=r"quarantine|delete|move:[^/\s]+/[^/\s]+",
        form="quarantine, delete, or move:PLUGIN/STEP",
    )
    priority: int = option(
        -1,
        minimum=-1,
        maximum=9,
        help="Priority, in this step's queue, of the files that the switch or an incoming directory gives it: 0 comes "
        "first; -1 = the one that each file has. What a rule says (STEP@0) counts more.",
    )
    order: str = option(
        "oldest",
        choices=("oldest", "newest"),
        help="Which file of a priority comes first: the one that has been waiting longest, or the one that came last. "
        "With numprocesses = 1 and oldest the order is strict, but for files that are tried again.",
    )
    deadline: float = option(
        0.0,
        unit="s",
        minimum=0,
        help="A file whose turn comes later than this after it was accepted has expired and is not processed; "
        "0 = none does.",
    )
    deadline_policy: str = option(
        "quarantine", choices=("quarantine", "drop"), help="What becomes of a file that has expired."
    )


@dataclass(frozen=True)
class DaemonConfig(Daemon):
    """A process of a plugin that is not a step."""

    max_age: float = option(0.0, unit="s", minimum=0, help="Without effect, as it always was; to be left out.")
    max_age_variance: float = option(0.0, unit="s", minimum=0, help="Without effect, as it always was.")
    debug: bool = option(False, help="Without effect, as it always was.")


MODULE_SECTIONS = Schema(
    {
        "incoming": Incoming,
        "safety": Safety,
        "pressure": Pressure,
        "quarantine": Quarantine,
        "internal_plugins": InternalPlugins,
        "trace": Trace,
    }
)

PLUGIN_SECTIONS = Schema(
    {"step_*": StepConfig, "extra_daemon_*": DaemonConfig, "switch_rules:*": FreeSection},
)
