"""Run a step: as the process that the supervisor started, or once on a copy of one file."""

from __future__ import annotations

import sys
from pathlib import Path

from mfdata.batch import BatchStep
from mfdata.config import Safety, StepConfig
from mfdata.config import Trace as TraceConfig
from mfdata.delivery.destinations import required_plugins
from mfdata.metrics import EventCounter
from mfdata.queue.local import LocalQueue
from mfdata.recovery.recovery import Recovery
from mfdata.step import Step
from mfdata.storage.places import Places, Target
from mfdata.storage.trace import Trace
from mfdata.worker.worker import Worker
from mfext import log
from mfext.daemon import Daemon, run_daemon
from mfext.environment import Home, current_process
from mfext.errors import MetworkError, UsageError
from mfext.mainloop import Mainloop
from mfext.metrics.instrument import Instruments, metrics_folder
from mfext.module import load_module
from mfext.plugin.manifest import Plugin, load_plugin


def run_process(kind: type[Step]) -> None:
    """Run *kind* as the supervised process ``step.PLUGIN.STEP``, with the plugin in the current folder."""
    if not current_process():
        error = UsageError(
            "this step was not started by mfdata", mend=f"Try it on a file: python {Path(sys.argv[0]).name} FILE"
        )
        sys.stderr.write(f"{error.message}\n")
        sys.exit(error.exit_code)
    run_daemon(lambda daemon: _serve(kind, daemon))


def _serve(kind: type[Step], daemon: Daemon) -> None:
    home, process, config = daemon.home, daemon.process, daemon.config
    plugin = load_plugin(Path.cwd(), daemon.module, home)
    step = made(kind, plugin, process.removeprefix(f"step.{plugin.name}."), home)
    if step.config.debug:
        daemon.set_up_log(debug=True)
    safety = config.section("safety", Safety)
    count = EventCounter(Instruments(metrics_folder(home))).count
    trace = Trace(home, process, step.plugin, step.name, config.section("trace", TraceConfig), count)
    target = Target(step.plugin, step.name)
    with Mainloop(home) as loop:
        _recover(step.places, trace, safety, target)
        step.report_through(loop.ready)
        step.open()
        queue = LocalQueue(step.places, target, newest_first=step.config.order == "newest")
        try:
            for folder in step.watched:
                queue.watch(folder)
            loop.ready()
            _worker(step)(step, queue, trace, safety).run(loop)
        finally:
            queue.close()
            step.close()


def _worker(step: Step) -> type[Worker]:
    if not isinstance(step, BatchStep):
        return Worker
    from mfdata.worker.batch_worker import BatchWorker

    return BatchWorker


def made(kind: type[Step], plugin: Plugin, name: str, home: Home) -> Step:
    """The step *name* of *plugin*, with its configuration.

    Raises:
        ConfigError: the plugin has no such step, or [custom] is not as *kind* declares it.
    """
    config = plugin.config.section(f"step_{name}", StepConfig)
    step = kind(home, plugin.name, name, config, plugin.config.section("custom", kind.Custom))
    step.required = required_plugins(plugin.general.requires)
    return step


def _recover(places: Places, trace: Trace, safety: Safety, target: Target) -> None:
    """Siblings that died are looked after at once; the observer finds them within a second as well."""
    durable = safety.durability == "power"
    Recovery(places, trace, max_crashes=safety.max_crashes, durable=durable).recover(target)


def run_on_file(kind: type[Step], arguments: list[str]) -> int:
    """Run *kind* once on a copy of the file that is named; print outcome, tags and outputs; the exit status."""
    from mfdata.testing import run_step

    if len(arguments) != 1 or arguments[0].startswith("--"):
        sys.stderr.write(f"usage: {Path(sys.argv[0]).name} FILE   runs the step once on a copy of FILE\n")
        return UsageError.exit_code
    try:
        plugin = load_plugin(Path.cwd(), load_module("mfdata"), None)
        log.set_up(None, "", "debug")  # who tries a step wants to see all that it says
        result = run_step(kind, Path(arguments[0]), plugin=plugin, keep_outputs=True)
    except MetworkError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    sys.stdout.write(result.text())
    return 0 if result.done else 1


def main(kind: type[Step]) -> None:
    """Run *kind* as the process that the supervisor says this is, or once on the file that the user names."""
    if len(sys.argv) > 1:
        sys.exit(run_on_file(kind, sys.argv[1:]))
    run_process(kind)
