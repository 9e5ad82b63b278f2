# SPDX-License-Identifier: GPL-2.0-only
"""The pages as a site: make html. index.rst has the list of them, and their order."""
# pylint: disable=invalid-name # Sphinx names these.
import os
import re

from docutils import nodes
from sphinx.util import logging

project = "mbox"
author = "the maintainers of mbox"
project_copyright = author
# The pages are also read where nothing but docutils shows them, so that they have links to
# files, and no roles of Sphinx.
PAGE = re.compile(r"<([\w/-]+)\.rst>`_")

exclude_patterns = ["man"]
highlight_language = "none"
html_theme = "sphinx_rtd_theme"
html_theme_options = {"navigation_depth": 2}
html_static_path = ["tables.css"]
html_css_files = ["tables.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False


def add_contents(_app, docname, source):
    """The list of the start page, as what Sphinx makes the navigation of."""
    if docname == "index":
        pages = dict.fromkeys(PAGE.findall(source[0]))
        source[0] += "\n\n.. toctree::\n   :hidden:\n\n"
        source[0] += "".join(f"   {page}\n" for page in pages)


def link_pages(app, doctree):
    """What links to a file, links to the page made of it."""
    source = app.env.doc2path(app.env.docname)
    for node in doctree.findall(nodes.reference):
        path, mark, anchor = node.get("refuri", "").partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            continue
        if not os.path.exists(os.path.join(os.path.dirname(source), path)):
            logging.getLogger(__name__).warning("no file %s", path, location=node)
        if path.endswith(".rst"):
            path = path[:-len("rst")] + "html"
        elif path == "man":
            path = "man/index.html"
        node["refuri"] = path + mark + anchor


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
    app.connect("doctree-read", link_pages)

    return {"parallel_read_safe": True}
