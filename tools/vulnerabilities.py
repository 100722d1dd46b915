"""Known vulnerabilities of what requirements.lock names; fails when there is one.

The service that knows them may not be reachable: then that is said, and nothing fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = ("pip-audit", "--disable-pip", "--require-hashes", "--requirement", "requirements.lock", "--format", "json")
QUICKLY = ("--progress-spinner", "off", "--timeout", "5")


def main() -> int:
    """Ask, and print what was found; 1 = there is a vulnerability."""
    done = subprocess.run([*COMMAND, *QUICKLY], capture_output=True, text=True)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = done.stderr.strip().rpartition("\n")[2]
        print(f"not checked, the service did not answer: {reason}")
        return 0
    checked = [package for package in packages if "vulns" in package]
    found = [(package, fault) for package in checked for fault in package["vulns"]]
    for package, fault in found:
        mend = ", ".join(fault["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {fault['id']}, mended by {mend}")
    print(f"{len(checked)} of {len(packages)} packages checked, {len(found)} vulnerabilities")
    if not checked:
        print("the service did not answer")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
