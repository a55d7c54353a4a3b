"""Run every check: one line each, and below it what is wrong."""

import sys

from . import automation_files, files, layers, sizes, translations, versions

_MODULES = (layers, sizes, translations, automation_files, versions, files)


def main() -> int:
    """Return the exit status: 1 if any check has found something."""
    failed = False
    for module in _MODULES:
        for name, check in vars(module).items():
            if not name.startswith("check_"):
                continue
            try:
                problems = sorted(set(check()))
            except (OSError, ValueError, SyntaxError, KeyError) as err:
                problems = [f"{type(err).__name__}: {err}"]
            print(f"{'FAILED' if problems else 'ok':<7}{check.__doc__}")
            for problem in problems:
                print(f"         {problem}")
            failed |= bool(problems)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
