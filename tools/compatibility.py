"""Tries the plugin on each release of Label Studio that it promises to work with, each in a virtual environment of its own.

    python -m tools.compatibility                   # all of them: about 1 GB and 5 minutes each
    python -m tools.compatibility 1.22.0

What runs is what a release can break: the contract of its interface, a backend added by hand, the loop, doctor, a browser, and
labels that were accepted from the model.
"""

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

from backend.labelstudio.installation import TESTED

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".venv-compatibility"
TESTS = [f"tests/e2e/test_{name}.py" for name in ("contract", "by_hand", "loop", "doctor", "browser", "accept")]
PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--quiet")


def main() -> int:
    """Try the releases that were asked for; 1 where one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", nargs="*", default=TESTED, help=f"such as {TESTED[0]} (default: {' '.join(TESTED)})")
    outcomes = {release: _try(release) for release in parser.parse_args().releases}
    print("\n" + "\n".join(f"Label Studio {release:8} {outcome}" for release, outcome in outcomes.items()))
    return int(any(outcome != "works" for outcome in outcomes.values()))


def _try(release: str) -> str:
    """What came of one release, in a few words."""
    print(f"\nLabel Studio {release}: installing into {FOLDER.name}/{release} ...", flush=True)
    try:
        folder = _install(release)
    except subprocess.CalledProcessError:
        return "could not be installed"
    print(f"Label Studio {release}: testing ...", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "soak or not soak", *TESTS],
        cwd=ROOT,
        env=os.environ | {"LABEL_STUDIO_VENV": str(folder)},
        check=False,
    )
    return "works" if done.returncode == 0 else f"FAILS (pytest ended with {done.returncode}, see above)"


def _install(release: str) -> Path:
    """The virtual environment that has `release`, made where there is none. Raises CalledProcessError."""
    folder = FOLDER / release
    if not (folder / "bin" / "label-studio").exists():
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([folder / "bin" / "python", *PIP, f"label-studio=={release}"], check=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
