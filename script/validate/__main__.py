"""Run every check: one line each, and below it what is wrong."""

import sys

from . import automation_files, files, layers, sizes, translations, versions

failed = False
for module in (layers, sizes, translations, automation_files, versions, files):
    for check in [vars(module)[name] for name in vars(module) if name[:6] == "check_"]:
        try:
            problems = sorted(set(check()))
        except (OSError, ValueError, SyntaxError, KeyError) as err:
            problems = [f"{type(err).__name__}: {err}"]
        print(f"{'FAILED' if problems else 'ok':<7}{check.__doc__}")
        print(*(f"         {problem}\n" for problem in problems), sep="", end="")
        failed |= bool(problems)
sys.exit(failed)
