"""What a codec is, how a codec spec is written, and which codecs the suite knows.

A codec spec is a string that names a codec and its settings, and labels it in every table:
`jpeg`, `jpeg:subsampling=4:4:4`, `hfd:decoder=flow,steps=8`, `command:enc="cjxl {in} {out} -q {q}",dec="…"`, and
`./my_codec.py:MyCodec` or `./my_codec.py:MyCodec:key=value` for a codec in a Python file of yours, and
`./my_codec.py:MyCodec@python=/envs/other/bin/python:key=value` for one that runs in another interpreter.
"""

import contextlib
import inspect
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from benchmark.containment import contained_anew, containment_of
from benchmark.elsewhere import MadeOf, command_of, open_elsewhere
from benchmark.errors import UsageError
from benchmark.foreign import ForeignCodec
from benchmark.identity import (
    anchored,
    data_of_code,
    files_of_variables,
    forgotten,
    hashes_of,
    hashes_of_code,
    hashes_of_programs,
    hashes_of_settings,
    name_from,
    sha256_of,
    variables,
)
from benchmark.installed import package_of
from benchmark.objects import code_hash, names_of_variables, settings_kept, weights_hash
from benchmark.pixels import Image as Image
from benchmark.registry import Registry, Spec, defaults_of, parse_spec
from benchmark.sources import modules_beside, packages_imported
from benchmark.watching import inputs, watched


@runtime_checkable
class Codec(Protocol):
    """Two functions, and what a run must know about them.

    A codec of a file, of a package or an object needs the two functions only: without `qualities` a run must name
    some, without `stochastic` it is deterministic, without `describe` a changed checkpoint is not noticed; and a
    deterministic one may have `decode(data)`.

    qualities: the codec's default qualities on its own scale, ordered from few bits to many.
    stochastic: whether `decode` depends on a seed. A deterministic codec ignores `seed`.
    A codec may have `scale: tuple[float, float, float]` besides: (lowest, highest, step) of the qualities that it
    takes, step 0 where any number between will do. Without it only `qualities` are known.
    `cpus: float` and `gpus: float` are what a worker on a cluster reserves for it.
    It may also have `estimate_bits(image, quality) -> float`, the bits that its entropy model predicts, and
    `header_bytes: int`, the bytes of a stream that the estimate leaves out: a run records them beside the real rate,
    and an audit holds one against the other. With `encode_with_estimate(image, quality) -> (bytes, float)` besides, a
    run gets both from one call.
    With `x_hat(data) -> Image`, what the bits say before a generative decoder adds to it, metrics of idempotence have a
    value.
    `environment: tuple[str, ...]` names environment variables that it reads: their values, of secrets their hashes, and
    the files that they name belong to the run's identity.
    `trained_on: tuple[str, ...]` are the metrics that its training made small: they flatter it, and a run says so.
    """

    qualities: tuple[float, ...]
    stochastic: bool

    def encode(self, image: Image, quality: float) -> bytes:
        """The whole byte string; it alone suffices to decode. Raises UsageError on a quality out of range."""
        ...

    def decode(self, data: bytes, seed: int | None = None) -> Image:
        """The image in `data`. seed: of a stochastic decoder; None takes the one in the stream.

        Raises CorruptStream on bytes that `encode` cannot have written.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Settings, library versions, hash of the weights: JSON values for the run's manifest."""
        ...


ESTIMATE_SHARE, ESTIMATE_BYTES = 0.01, 16
"""An estimate of the bits may differ from the real ones by this share and these bytes, known header bytes set aside."""


CodecSpec = Spec
"""A parsed codec spec; its text labels the codec."""


ENTRY_POINTS = "hfd_benchmark.codecs"
IMAGES = "images"
"""Reconstructions that were made elsewhere: see `benchmark.reconstructions`."""
LEADING = {IMAGES: "pattern"}
"""Codecs one of whose settings may stand first without its key."""
PROGRAMS = ("command", "vtm", "hm", "ecm", "avm", "bpg")
"""Codecs that call programs of the user's."""
AROUND_ANOTHER = ("bpp", "match")
"""Codecs that are made of another one, whose spec follows their name unchanged: `bpp:jpeg:subsampling=4:4:4`."""


def parse_codec_spec(text: str) -> Spec:
    """A codec spec; what follows `bpp:` and `match:` is another. Raises UsageError."""
    return parse_spec(text, "codec", AROUND_ANOTHER, LEADING)


CODECS = Registry("codec", ENTRY_POINTS)
CODECS.add("jpeg", "benchmark.baselines.classical:jpeg", "JPEG (Pillow, libjpeg-turbo); subsampling=4:2:0")
CODECS.add("webp", "benchmark.baselines.classical:webp", "WebP, lossy (Pillow, libwebp); method=4")
CODECS.add("avif", "benchmark.baselines.classical:avif", "AVIF (Pillow, libavif); speed=6, subsampling=4:2:0")
CODECS.add("jxl", "benchmark.baselines.classical:jxl", "JPEG XL, lossy (pillow-jxl-plugin, libjxl); effort=7")
CODECS.add("jpeg2000", "benchmark.baselines.classical:jpeg2000", "JPEG 2000 (Pillow, OpenJPEG); control=bpp")
CODECS.add(
    "compressai",
    "benchmark.baselines.zoo:compressai_zoo",
    "CompressAI's zoo; model=mbt2018-mean, metric=mse, weights=FILE",
    needs="compressai",
)
CODECS.add(
    "command", "benchmark.baselines.command:command", 'any program; enc="prog {in} {out} {q}", dec="prog {in} {out}"'
)
CODECS.add("vtm", "benchmark.baselines.standards:vtm", "VVC's reference software, yours; config=FILE, folder=FOLDER")
CODECS.add("hm", "benchmark.baselines.standards:hm", "HEVC's reference software, yours; config=FILE, folder=FOLDER")
CODECS.add("ecm", "benchmark.baselines.standards:ecm", "JVET's model beyond VVC, yours; config=FILE, folder=FOLDER")
CODECS.add("avm", "benchmark.baselines.standards:avm", "AOMedia's model beyond AV1, yours; folder=FOLDER")
CODECS.add("bpg", "benchmark.baselines.standards:bpg", "BPG (bpgenc and bpgdec), yours; subsampling=444")
CODECS.add(
    IMAGES,
    "benchmark.baselines.reconstructions:images",
    "reconstructions made elsewhere; images:DIR/{quality}/{name}.png,bits=DIR/{quality}/{name}.bin",
)
CODECS.add(
    "mse",
    "benchmark.baselines.mse:mse",
    "the first stage of HFD alone: an autoencoder trained for rate and MSE",
    needs="compressai",
)
CODECS.add(
    "hfd",
    "benchmark.hfd.codec:hfd",
    "HFD: the bits of mse, decoded by a generative model; decoder=one-step",
    needs="compressai",
)
CODECS.add(
    "hific",
    "benchmark.baselines.hific.codec:hific",
    "HiFiC, the paper's own model; needs its weights: weights=FILE",
    needs="compressai",
)
CODECS.add(
    "hific-small",
    "benchmark.baselines.hific_small.codec:hific_small",
    "the bits of mse, decoded by a generator of a GAN",
    needs="compressai",
)
CODECS.add(
    "msillm",
    "benchmark.baselines.msillm.codec:msillm",
    "MS-ILLM and No-GAN, the papers' own models; needs their weights: weights=FILE|FOLDER",
    needs="compressai",
)
CODECS.add(
    "upscale",
    "benchmark.baselines.upscale.codec:upscale",
    "a small copy by AVIF or JPEG XL, enlarged; by=lanczos or by=realesrgan (extra upscale), factor=4",
)
CODECS.add(
    "sd-upscale",
    "benchmark.baselines.text_to_image.upscale:sd_upscale",
    "a small copy, enlarged by Stable Diffusion's upscaler; needs its weights: weights=FOLDER",
    needs="diffusers",
)
CODECS.add(
    "sd-latent",
    "benchmark.baselines.text_to_image.latent:sd_latent",
    "quantised latents of Stable Diffusion's autoencoder; needs its weights: weights=FOLDER",
    needs="diffusers",
)
CODECS.add(
    "bpp",
    "benchmark.baselines.target:at_bpp",
    "bpp:SPEC, another codec whose quality is the bits per pixel to come near",
)
CODECS.add(
    "match",
    "benchmark.baselines.target:matching",
    "match:SPEC~REFERENCE, as many bits as REFERENCE spends on each image",
)
CODECS.with_installed()


def open_codec(spec: Spec | str, device: str = "cpu") -> Codec:
    """The codec that `spec` names, with its settings.

    An entry of CODECS, like the attribute of a Python file, is a function or class `make(**settings) -> Codec`, which
    gets `device: str` besides if it has a parameter of that name. What is not the suite's own comes as a
    `ForeignCodec`; with `@python=COMMAND` it runs in another interpreter. Raises UsageError on an unknown codec or
    setting and on what is no codec, BenchmarkError if a file or package cannot be imported or run.
    """
    parsed = parse_codec_spec(spec) if isinstance(spec, str) else spec
    if not (parsed.file or parsed.name in CODECS.installed):
        codec: Codec = CODECS.make(parsed, {"device": device})
        return codec
    if parsed.place:
        began = time.time()
        with watched() as seen:
            there = open_elsewhere(parsed, device)
        names = names_of_variables(there, f"codec {parsed.name}")
        return ForeignCodec(there, f"codec {parsed.name}", MadeOf(parsed, there, inputs(seen.read, began), names))
    of_file = containment_of(parsed.file)
    with of_file.inside(opening=True):
        CODECS.load(parsed.name)
    containment = of_file.copy()
    with containment.inside(opening=True):
        began = time.time()
        with watched() as seen:
            made = CODECS.make(parsed, {"device": device})
        made_of = _MadeOf(parsed, made, seen.read, began)
        return ForeignCodec(made, f"codec {parsed.name}", made_of, containment)


def hold_codec(codec: Any, label: str) -> ForeignCodec:
    """An object with `encode` and `decode` as a codec. Raises UsageError if it is none."""
    kind = f"object of class {type(codec).__module__}.{type(codec).__qualname__}"
    names = names_of_variables(codec, f"codec {label}")

    def made_of() -> dict[str, Any]:
        parts = {
            "object": kind,
            "code_sha256": code_hash(type(codec)),
            "weights_sha256": weights_hash(codec),
            "object_settings": settings_kept(codec),
            "environment": variables(names),
        }
        return {name: value for name, value in parts.items() if value}

    return ForeignCodec(codec, f"codec {label}", made_of)


def open_afresh(spec: str, device: str) -> Codec:
    """The codec that `spec` names, in an instance that shares nothing with earlier ones: its files are run again."""
    with contextlib.ExitStack() as held:
        for part in parts(parse_codec_spec(spec)):
            if part.file is not None and part.file.is_file():
                held.enter_context(forgotten(part.file))
                held.enter_context(contained_anew(part.file))
        return open_codec(spec, device)


def anchored_spec(text: str) -> Spec:
    """A codec spec with absolute paths of the files and folders that it names, those of codecs inside it too.

    For who is about to change the working folder. Raises UsageError on what is no codec spec.
    """
    spec = parse_codec_spec(text)
    if spec.name in AROUND_ANOTHER:
        inner, tilde, reference = spec.settings["spec"].rpartition("~") if spec.name == "match" else ("", "", "")
        whole = (
            f"{anchored_spec(inner).text}~{anchored_spec(reference).text}"
            if tilde
            else anchored_spec(spec.settings["spec"]).text
        )
        return parse_codec_spec(f"{spec.name}:{whole}")
    if spec.name == "command":  # which does so itself, word by word
        return spec
    name = spec.name if spec.file is None else f"{spec.file}:{spec.name.rpartition(':')[2]}"
    settings = {key: anchored(value) for key, value in spec.settings.items()}
    place = dict(spec.place)
    if place:
        place["python"] = shlex.join(command_of(place["python"]))
    text = "@".join([name, _written(place)] if place else [name])
    return Spec(f"{text}:{_written(settings)}" if settings else text, name, settings, place)


def without_defaults(text: str) -> str:
    """The spec of a shipped codec without the settings that say what it does anyway: `hfd` for `hfd:decoder=one-step`.

    Settings are sorted by name. What names no shipped codec, such as a label or a file, comes back as it is.
    """
    try:
        spec = parse_codec_spec(text)
    except UsageError:
        return text
    if spec.file is not None or spec.name not in CODECS or spec.name in (*CODECS.installed, *AROUND_ANOTHER):
        return text
    defaults = defaults_of(CODECS.load(spec.name))
    kept = {key: value for key, value in sorted(spec.settings.items()) if value != defaults.get(key)}
    return f"{spec.name}:{_written(kept)}" if kept else spec.name


def _written(settings: Mapping[str, str]) -> str:
    return ",".join(f'{key}="{value}"' for key, value in settings.items())


def parts(spec: Spec) -> Iterator[Spec]:
    """`spec` itself, and the codecs that it is made of."""
    yield spec
    if spec.name in AROUND_ANOTHER:
        inner, tilde, reference = spec.settings["spec"].rpartition("~")
        for text in (inner, reference) if tilde and spec.name == "match" else (spec.settings["spec"],):
            with contextlib.suppress(UsageError):  # who opens it says what is wrong
                yield from parts(parse_codec_spec(text))


def is_foreign(spec: Spec) -> bool:
    """Whether it runs code in Python that is not the suite's: of a file or of another package."""
    return any(part.file is not None or part.name in CODECS.installed for part in parts(spec))


def is_unproven(spec: Spec) -> bool:
    """Whether nobody of the suite has seen to it that the bytes alone suffice: foreign code, or programs."""
    return is_foreign(spec) or any(part.name in PROGRAMS for part in parts(spec))


class _MadeOf:
    """What tells a codec of a file or package from another version of it; the file is as it was when it was run.

    read: the files that it opened while it was made.
    """

    def __init__(self, spec: Spec, codec: Any, read: Mapping[str, float | None], began: float) -> None:
        self._spec = spec
        self._file_sha256 = None if spec.file is None else sha256_of(spec.file)
        make = CODECS.load(spec.name)
        defaults = getattr(make, "__kwdefaults__", None) or {}
        with contextlib.suppress(TypeError, ValueError):
            parameters = inspect.signature(make).parameters.values()
            defaults = {one.name: one.default for one in parameters if isinstance(one.default, str | Path)}
        self._settings = {name: str(value) for name, value in defaults.items()} | dict(spec.settings)
        self._variables = names_of_variables(codec, f"codec {spec.name}")
        self._package = package_of(CODECS.target(spec.name)) if spec.file is None else None
        inside = self._package.folder if self._package is not None else None
        self._read = inputs(read, began, inside)

    def __call__(self) -> dict[str, Any]:
        made_of: dict[str, Any] = {}
        folders: list[Path] = []
        settings = hashes_of_settings(self._settings)
        data: dict[str, Path] = {}
        if self._spec.file is not None:
            folders = [self._spec.file.parent]
            modules = modules_beside(self._spec.file)
            settings = hashes_of_settings(self._settings, folders)
            made_of = {
                "file_sha256": self._file_sha256,
                "modules_sha256": hashes_of_code(self._spec.file, modules),
                "programs_sha256": hashes_of_programs(self._spec.file),
                "packages": packages_imported([self._spec.file, *modules.values()]),
            }
            data = data_of_code(self._spec.file)
        elif self._package is not None:
            made_of = self._package.description()
        base = folders[0] if folders else Path.cwd()
        data |= {name_from(path, base): path for path in self._read}
        hashes = hashes_of(dict(sorted(data.items())))
        made_of["settings_sha256"] = settings
        made_of["files_sha256"] = {name: sha for name, sha in hashes.items() if sha not in settings.values()}
        made_of["environment"] = variables(self._variables)
        made_of["variables_sha256"] = files_of_variables(self._variables)
        return {name: value for name, value in made_of.items() if value}


def quality_grid(codec: Codec) -> tuple[float, float, float] | tuple[float, ...]:
    """`codec.scale` if it has one, else its qualities."""
    return tuple(getattr(codec, "scale", codec.qualities))
