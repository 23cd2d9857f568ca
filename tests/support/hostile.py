"""Texts that do harm where they are taken for something else than text, and a run that is full of them."""

import json
from pathlib import Path

from benchmark.analysis.summary import write_summary
from benchmark.results import RunFolder, Trial, path_name

HOSTILE = [
    "<script>window.injected=1</script>",
    '"><img src=x onerror="window.injected=1">',
    "'><svg onload=window.injected=1>",
    "</script><script>window.injected=1//",
    "</title></style></textarea><script>window.injected=1</script>",
    "javascript:window.injected=1",
    '<a href="javascript:window.injected=1">x</a>',
    "<iframe srcdoc='<script>parent.injected=1</script>'>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:1/'>",
    "<link rel=stylesheet href=http://127.0.0.1:1/x.css>",
    "<base href=http://127.0.0.1:1/>",
    "{{ 7 * 7 }}{% raw %}${7*7}#{7*7}",
    "]]><!--",
    "--><![CDATA[",
    "&lt;script&gt;&#x3c;b&#x3e;",
    "`code` **bold** __x__ ~~gone~~ $math$ | cell | [a](http://127.0.0.1:1) ![i](http://127.0.0.1:1/i.png)",
    "http://127.0.0.1:1/auto www.example.invalid me@example.invalid @somebody",
    "# heading",
    "- item",
    "1. one",
    "    code",
    "===",
    "=cmd|' /C calc'!A0",
    "+1+cmd()",
    "-2+3+cmd()",
    "@SUM(1+1)",
    "\t=cmd()",
    "\\input{/etc/passwd} % # & _ ^ ~ { } $x$ ^^5c --",
    "line\nbreak\r\nand\\\\input{x}",
    "right\u202eto\u2066left\u2069",
    "zero\u200bwidth\ufeffmark\u00ad",
    "bell\x07 escape\x1b[31mred\x1b]0;title\x07 \x9b31m null\x00",
    "lines\u2028and\u2029paragraphs\x85",
    "noncharacter\uffff\ufffe",
    "long " + "x" * 3000,
    "__proto__",
    "constructor",
    "../../../etc/passwd",
    "%00%2e%2e%2f",
    "a#b?c=d%41&e;f",
    "🏳️\u200d🌈 नमस्ते \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
]
"""The last two are harmless, and stay as they are."""

UNSEEN = "\x00\x07\x1b\x85\x9b\u00ad\u200b\u2028\u2029\u202a\u202d\u202e\u2066\u2069\ufeff"
"""Characters that stand in nothing that is shown."""


def make_hostile(run: Path) -> RunFolder:
    """Puts a hostile text into every place of the finished run at `run` that holds somebody's words."""
    manifest = json.loads((run / "run.json").read_text())
    count = 0

    def words(old: str = "") -> str:
        nonlocal count
        count += 1
        return f"{HOSTILE[count % len(HOSTILE)]}{old}"

    images = {}
    for number, picture in enumerate(manifest["dataset"]["pictures"]):
        images[picture["name"]] = f"{HOSTILE[number % len(HOSTILE)]} {number}"
        picture["name"] = images[picture["name"]]
        picture["path"] = None if number % 2 else picture["path"]
    codecs = {name: words() for name in manifest["codecs"]}
    manifest["codecs"] = {codecs[name]: record | {"spec": words()} for name, record in manifest["codecs"].items()}
    for record in manifest["codecs"].values():
        record["description"] = {words(): words(), "nested": [words(), {words(): words()}]}
    manifest["dataset"]["name"] = words()
    for record in manifest["metrics"].values():
        record |= {"title": words(), "unit": words(), "words": words(), "protocol": words("psnr/rgb")}
        record |= {"parts": {words(): words()}}
    for field in ("packages", "machine"):
        manifest[field] = {key: words() for key in manifest[field]} | {words(): words()}
    manifest["command"] = [words() for _ in HOSTILE]
    manifest["git_commit"] = words()
    manifest["device"] = words()
    lines = []
    for line in (run / "trials.jsonl").read_text().splitlines():
        trial = json.loads(line)
        before = Trial.model_validate(trial)
        trial["codec"], trial["image"] = codecs[trial["codec"]], images[trial["image"]]
        if trial["error"] is not None:
            trial["error"] = words()
        lines.append(json.dumps(trial))
        for folder, end in (("reconstructions", "png"), ("reconstructions", "bin")):
            label = next(record["label"] for name, record in manifest["codecs"].items() if name == trial["codec"])
            for file in (run / folder / label).rglob(f"{path_name(before.image)}.{end}"):
                file.rename(file.with_name(f"{path_name(trial['image'])}.{end}"))
    (run / "run.json").write_text(json.dumps(manifest))
    (run / "trials.jsonl").write_text("".join(f"{line}\n" for line in lines))
    folder = RunFolder.open(run)
    write_summary(folder)
    return folder
