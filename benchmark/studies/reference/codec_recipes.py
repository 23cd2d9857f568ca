"""The recipes of other people's codecs: what their bits are, what was run here, how to install and check each."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from benchmark.baselines.recipes import Place, Recipe, environment, names, recipe
from benchmark.studies.reference.markdown import block, code, page, table, words

INTRODUCTION = """\
[How to use one](../how-to/recipes.md). **Bits**: *real* are those of a stream that is decoded by itself, *estimated*
are what an entropy model states, *nominal* follow from the size of the latents, without a stream. **Run here** says
what was done with the peer's own code. Random weights show that the way works, from an image to bytes and back in
another process; the numbers mean nothing else."""


def recipes_page() -> str:
    """The page. Raises BenchmarkError if a declaration is not valid."""
    found = [recipe(name) for name in names()]
    rows = (
        (
            f"[`{one.name}`](#{one.name})",
            words(one.title),
            one.bits,
            words(one.licence),
            words(one.weights_licence),
            f"{one.run.weights} weights, {one.run.date}" if one.run else "**not run**",
        )
        for one in found
    )
    head = ("recipe", "codec", "bits", "licence of the code", "of the weights", "run here")
    return page("Recipes", INTRODUCTION, table(head, rows), *map(_section, found))


def _section(one: Recipe) -> str:
    facts = [
        f"- **Bits:** {one.bits}. {words(one.bits_note)}",
        f"- **Quality:** {words(one.quality)}.",
        f"- **Run here:** {_status(one)}",
        *(f"- {words(note)}" for note in one.notes),
    ]
    parts = [f"## {one.name}", f"{words(one.title)}: [paper]({one.paper}), [code]({one.repository}).", "\n".join(facts)]
    if one.places:
        rows = ((code(key), words(place.text), words(place.how), _values(place)) for key, place in one.places.items())
        parts.append(table(("setting", "what it is", "where it comes from", "values"), rows))
    return "\n\n".join([*parts, block("\n".join(_commands(one)), "bash")])


def _status(one: Recipe) -> str:
    if one.run is None:
        return f"no: {words(one.not_run)}"
    return f"{one.run.date}, {one.run.weights} weights, {words(one.run.versions)}. {words(one.run.result)}"


def _values(place: Place) -> str:
    kind = f"a {place.kind}" + (f" with {code(place.has)}" if place.has else "")
    return ", or ".join([kind, *map(code, place.words)])


def _commands(one: Recipe) -> Iterator[str]:
    folder = PurePosixPath(str(one.repository)).name
    if "repository" in one.places:
        yield f"git clone {one.repository}" + (f" && git -C {folder} checkout {one.commit}" if one.commit else "")
    make, install = environment(one)
    yield f"{make}  # Python {one.python}"
    yield install
    settings = [f"{key}={folder if key == 'repository' else place.kind.upper()}" for key, place in one.places.items()]
    given = "".join(f" --setting {setting}" for setting in settings)
    yield f"python -m benchmark recipes check {one.name} --python envs/{one.name}/bin/python{given}"
