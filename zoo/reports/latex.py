"""Write tables for LaTeX: floats with booktabs' rules, a caption and a label, names escaped.

A document needs \\usepackage{booktabs}; \\usepackage[T1]{fontenc} prints < and > of names as they are.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.reports.tables import decimal, percent, with_interval
from zoo.utils.text import printable

NEEDS = "% \\usepackage{booktabs}\n"
_ESCAPES = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **{character: f"{{{character}}}" for character in '[]*"'},  # behind \\ they would be its options; " of babel
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": r"\textasciigrave{}",
        "±": r"$\pm$",
        "−": "$-$",
        "–": r"\textendash{}",
        "²": r"\textsuperscript{2}",
        "µ": r"$\mu$",
    }
)
_LIGATURE = re.compile(r"([-',])(?=\1)")  # LaTeX makes a dash of two hyphens
_LABEL = re.compile(r"[^a-z0-9]+")


def escaped(text: str) -> str:
    r"""Return text as LaTeX prints it, whatever it holds: a\b_c is a\textbackslash{}b\_c, a control character \x1b."""
    return _LIGATURE.sub(r"{\1}", printable(text).translate(_ESCAPES))


def label(*parts: str) -> str:
    r"""Return a name for \label of letters, digits and hyphens, such as tab:confusion-ravdess-actors-fold-0."""
    plain = unicodedata.normalize("NFKD", " ".join(parts)).encode("ascii", "ignore").decode().lower()
    return f"tab:{_LABEL.sub('-', plain).strip('-') or 'unnamed'}"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, name: str, n_words: int = 1, align: str = "r"
) -> str:
    r"""Return a table float: the first `n_words` columns flush left, the others by `align`; `name` is its \label.

    Text of cells and of the caption is escaped here.
    """
    columns = "l" * n_words + align * (len(header) - n_words)
    head, *body = (" & ".join(map(escaped, row)) + r" \\" for row in (header, *rows))
    lines = [r"\begin{table}", r"  \centering", rf"  \caption{{{escaped(caption)}}}", rf"  \label{{{name}}}"]
    lines += [rf"  \begin{{tabular}}{{{columns}}}", r"    \toprule", f"    {head}", r"    \midrule"]
    lines += [*(f"    {row}" for row in body), r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""]
    return "\n".join(lines)


def per_class(record: Mapping[str, Any], title: str) -> str:
    """Return the table of a record of `zoo.metrics.classification.evaluate`: figures of each class, in percent."""
    rows = [
        [name, str(row["n"]), *(percent(row[key]).removesuffix(" %") for key in ("recall", "precision", "f1"))]
        for name, row in record["per_class"].items()
    ]
    ua, wa = (with_interval(record[name], percent) for name in ("ua", "wa"))
    caption = f"{title}: figures of each class (%). UA {ua}, WA {wa}, macro-F1 {percent(record['macro_f1'])}."
    header = ("Class", "Clips", "Recall", "Precision", "F1")
    return table(header, rows, caption, label("classes", title))


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> str:
    """Return a confusion matrix as a table: shares of the true class (rows) in percent, and its number of clips."""
    rows = []
    for name, row in zip(classes, counts, strict=True):
        n = sum(row)
        rows.append([name, *(f"{100 * count / n:.1f}" if n else "–" for count in row), str(int(n))])
    caption = f"{title}: confusion matrix. Rows are true classes, columns predicted ones; cells in % of the true class."
    return table(("", *classes, "Clips"), rows, caption, label("confusion", title))


def ratings(record: Mapping[str, Any], title: str) -> str:
    """Return the table of a continuous run: a row per dimension, as predicted and after post-processing."""
    rows = []
    for figures, name in ((record, "as predicted"), (record.get("postprocessed"), "post-processed")):
        for dimension, row in (figures or {"dimensions": {}})["dimensions"].items():
            values = (decimal(row[key]) for key in ("mean_ccc", "pearson", "rmse", "mae", "kendall"))
            rows.append([dimension, name, with_interval(row["ccc"]), *values])
    header = ("Dimension", "", "CCC", "mean CCC", "Pearson", "RMSE", "MAE", "Kendall")
    caption = f"{title}: agreement with the raters; in brackets 95 % intervals over speakers."
    return table(header, rows, caption, label("ratings", title), n_words=2)
