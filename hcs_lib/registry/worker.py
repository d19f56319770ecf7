"""The worker process of the probe: `python -m hcs_lib.registry.worker MODULE:CLASS`, driven by `workers`.

It reads one JSON request a line and answers each with one line: `"discover"`, or `[id, target, seconds]` to be
probed within so many CPU seconds. Where the library cannot be used, `"discover"` is answered with the reason.
The kernel ends the process where a function takes longer, also within C code.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import warnings


def main() -> None:
    """Serve requests until the standard input ends."""
    # What functions print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")

    from hcs_lib.core.errors import MachineError
    from hcs_lib.registry.discover import candidates
    from hcs_lib.registry.probe import probe_function

    module, _, name = sys.argv[1].partition(":")
    registry = getattr(importlib.import_module(module), name)()
    try:
        registry.get_library_object()
        found: object = candidates(registry)
    except MachineError as error:
        found = {"unusable": str(error)}
    for line in sys.stdin:
        request = json.loads(line)
        if request == "discover":
            answer = found
        else:
            function_id, target, seconds = request
            signal.setitimer(signal.ITIMER_PROF, seconds)
            answer = probe_function(registry, function_id, target).to_json()
            signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
