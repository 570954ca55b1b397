"""Where the documentation of an estimator is: scikit-learn's HTML repr links to it."""

from __future__ import annotations


class DocLinkMixin:
    """Links to the section of docs/api.md that has the name of the class; goes before ``BaseEstimator``."""

    _doc_link_module = "skrnn"
    _doc_link_template = "https://scikit-rnn.readthedocs.io/en/latest/api/#{anchor}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"anchor": type(self).__name__.lower()}  # anchors of headings are in lower case
