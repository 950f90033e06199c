"""Configuration of Sphinx."""

from __future__ import annotations

import builtins
import importlib.metadata
import re
import sys

project = "hvintegration"
author = "The hvintegration authors"
copyright = f"2026, {author}"
release = version = importlib.metadata.version("hvintegration")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"hvintegration {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # *Attributes* describe what is documented already: no second entry for the same name.
napoleon_custom_sections = [("Members", "Attributes")]  # Of enumerations.

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Notebook pages are run at every build; what they show is what the package answers.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 60

# References to other projects lead nowhere, for a build needs no network. Those to this package must be right.
_other_projects = {*sys.stdlib_module_names, "attrs", "pandas", "rich"}
nitpick_ignore_regex = [
    (r"py:.*", rf"({'|'.join(sorted(map(re.escape, _other_projects)))})(\..*)?"),
    (r"py:.*", rf"({'|'.join(sorted(map(re.escape, dir(builtins))))})"),
    (
        r"py:class",
        r"hvintegration\.diagnosis\.(facts\.Facts|rule\.Seen)",
    ),  # What rules work on: not public.
    (r"py:.*", r"Plain|hvintegration\.[\w.]+\.T(_co)?"),  # A type alias and type variables: no objects of their own.
]
