"""JavaScript libraries, taken from the Python packages that ship them.

Vega and Vega-Lite come from vl-convert, three.js with its orbit controls from jupyter-threejs-sage, the viewer of
rollouts from brax. None is a part of this package; all are copied into a site.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from mpobench import RequestError
from mpobench.errors import MpobenchError

_PACKAGES = {
    "vl_convert": "vl-convert-python",
    "jupyter_threejs_sage": "jupyter-threejs-sage",
    "jinja2": "jinja2",
}

_ORDER = ("system.js", "selector.js", "animator.js", "viewer.js")
"""Modules of brax's viewer, each after those that it imports."""


def require_libraries() -> None:
    """Checks that the packages of the extra ``site`` are installed.

    Raises:
        RequestError: If one is not, with the command that installs it.
    """
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise RequestError(f"a site needs {', '.join(missing)}: pip install 'mpobench[site]'")


def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed, as one script that defines ``vegaEmbed``."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return f"/* Vega, Vega-Lite, Vega-Embed; BSD-3-Clause. */\n(() => {{\n{bundle}\n}})();\n"


def three() -> str:
    """three.js with orbit controls, as one script that defines ``THREE``."""
    found = sorted(_folder("jupyter_threejs_sage").glob("static/r*/three.min.js"), key=_release)
    if not found:
        raise MpobenchError(
            "jupyter-threejs-sage has no three.min.js: install the version of constraints.txt"
        )
    return found[-1].read_text(encoding="utf-8")


def _release(file: Path) -> int:
    return int(file.parent.name[1:])


def brax_viewer() -> str:
    """Brax's own viewer, as one script that defines ``BraxViewer``.

    Browsers load no modules from disk, so its modules become one function. What it imports from elsewhere are its
    arguments: three.js, orbit controls, and a panel of controls, for which the page has its own.
    """
    folder = _folder("brax") / "visualizer" / "js"
    modules = [(folder / name).read_text(encoding="utf-8") for name in _ORDER]
    body = "\n".join(re.sub(r"^(import|export)\b[^;]*;$", "", text, flags=re.MULTILINE) for text in modules)
    return (
        f"/* The viewer of brax {version('brax')}; Apache-2.0, The Brax Authors. Changed: modules joined. */\n"
        f"window.BraxViewer = (THREE, OrbitControls, GUI) => {{\n{body}\nreturn Viewer;\n}};\n"
    )


def _folder(module: str) -> Path:
    """Folder of a package, found without importing it."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise RequestError(f"a site needs {module}: pip install 'mpobench[site]'")
    return Path(spec.submodule_search_locations[0])


LICENCES = """\
This site contains libraries of others, unchanged but for being wrapped into one script each.

assets/vega.js    Vega, Vega-Lite, Vega-Embed. BSD-3-Clause. Copyright University of Washington Interactive Data Lab.
                  https://github.com/vega/vega/blob/main/LICENSE
assets/three.js   three.js. MIT. Copyright three.js authors. https://github.com/mrdoob/three.js/blob/dev/LICENSE
assets/brax.js    The viewer of brax. Apache-2.0. Copyright The Brax Authors.
                  https://github.com/google/brax/blob/main/LICENSE
"""
