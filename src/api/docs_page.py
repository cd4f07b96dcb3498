"""The contract as a page to read: static HTML, made from the OpenAPI document, that needs no network and no script."""

from html import escape
from typing import Any

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body{{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
code{{background:#eee;padding:.1em .3em}}td,th{{text-align:left;vertical-align:top;padding:.2em .8em .2em 0}}
</style></head><body><h1>{title}</h1><p>{description}</p>
<p>The whole contract, with every schema and example: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
{operations}</body></html>"""


def docs_page(contract: dict[str, Any]) -> str:
    """Every operation with its parameters and answers."""
    operations = [
        _operation(method, path, operation)
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
    ]
    info = contract["info"]
    return _PAGE.format(
        title=escape(info["title"]), description=escape(info["description"]), operations="".join(operations)
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = {one["name"]: one["description"] for one in operation.get("parameters", [])}
    answers = {status: answer["description"] for status, answer in operation["responses"].items()}
    return (
        f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2><p>{escape(operation['description'])}</p>"
        f"{_table('Parameter', parameters)}{_table('Answer', answers)}"
    )


def _table(head: str, rows: dict[str, str]) -> str:
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in rows.items()
    )
    return f"<table><tr><th>{head}</th><th></th></tr>{lines}</table>"
