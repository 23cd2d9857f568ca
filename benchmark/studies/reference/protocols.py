"""Papers' protocols, and the rules by which patches are cut."""

from benchmark.metrics.patches import PATCH_RULES, SMALLEST_SIDES
from benchmark.protocols import PROTOCOLS, Protocol
from benchmark.studies.reference.markdown import code, page, table, words

INTRODUCTION = """\
A protocol is a paper's set-up by one word: `python -m benchmark run --protocol NAME` takes its data set, preparation,
patches and metrics. Each was read in the source that it names. What the source leaves open can move a number, and is
said."""

RULES = """\
A metric of sets looks at patches of the images; `METRIC@RULE` chooses the rule. An image with a side shorter than a
patch has none. The rule is part of the metric's protocol: numbers of different rules are never compared."""


def protocols_page() -> str:
    """The page."""
    users = {rule: [one.name for one in PROTOCOLS.values() if _uses(one, rule)] for rule in PATCH_RULES}
    rules = (
        (code(rule), words(text), f"{SMALLEST_SIDES[rule]}", ", ".join(map(code, users[rule])))
        for rule, text in PATCH_RULES.items()
    )
    return page(
        "Protocols",
        INTRODUCTION,
        *map(_section, PROTOCOLS.values()),
        "## Patch rules",
        RULES,
        table(("rule", "patches", "shortest side", "protocols"), rules),
    )


def _uses(protocol: Protocol, rule: str) -> bool:
    own = (protocol.metrics, *protocol.metrics_on.values())
    return any(metric.endswith(f"@{rule}") for metrics in own for metric in metrics)


def _section(protocol: Protocol) -> str:
    more = "" if len(protocol.datasets) == 1 else ", the first by default"
    lines = [
        f"Data sets{more}: {', '.join(map(code, protocol.datasets))}",
        f"Metrics: {', '.join(map(code, protocol.metrics))}",
        *(f"On {code(one)}: {', '.join(map(code, own))}" for one, own in protocol.metrics_on.items()),
        f"Source: {words(protocol.source)}",
        *(f"Left open: {words(what)}" for what in protocol.left_open),
        *(f"Published points that its runs may stand over: {words(what)}" for what in protocol.references),
    ]
    listed = "\n".join(f"- {line}" for line in lines)
    return f"## {protocol.name}\n\n{words(protocol.title)}.\n\n{listed}"
