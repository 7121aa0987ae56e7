"""Run every benchmark of the list below, one process each: ``python -m benchmarks [name ...]``."""

import subprocess
import sys

BENCHMARKS = (
    "render",
    "detection",
    "cli",
    "fitting",
    "registration",
    "specular",
    "synthesis",
    "training",
)


def main() -> int:
    """Run the named benchmarks, or all; return the number that failed."""
    names = sys.argv[1:] or BENCHMARKS
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"expected names of {', '.join(BENCHMARKS)}; got {', '.join(unknown)}")
        return 2
    failed = 0
    for name in names:
        print(f"== {name}", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"benchmarks.bench_{name}"], check=False).returncode != 0
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
