"""Describe a dataset in Croissant, the metadata format of MLCommons for machine-learning datasets, version 1.0.

``croissant.json`` states which file holds which column, and the fields of the vocabulary for responsible AI that follow
from a run. https://docs.mlcommons.org/croissant/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from annotator.run.manifest.rebuilding import file_sha256
from annotator.storage import tables
from annotator.storage.funnel import shown_unit
from annotator.storage.rundir import SPLITS, RunDir
from data_cards.licences import UNKNOWN
from data_cards.pages import read_template
from data_cards.publication import TITLE, Target, bibtex, without_paths

_SAMPLE: Final = {
    "id": "Id of the sample, from its content.",
    "instruction": "The question, which names one entity type.",
    "input": "The passage.",
    "output": "JSON list of the distinct mentions of the type, in order of first occurrence.",
    "entity_type": "The entity type that is asked for.",
    "negative": "Whether the passage has no mention of the type, so that the answer is an empty list.",
    "passage_id": "Id of the passage.",
}
_ANNOTATION: Final = {
    "passage_id": "Id of the passage.",
    "text": "The passage, in Unicode form NFC.",
    "mentions": "The mentions in order of their start.",
    "reply_status": "How the teacher's reply could be read: ok, repaired or truncated.",
}
_MENTION: Final = {
    "text": "The mention: text[start:end] of the passage.",
    "label": "The normalised entity type.",
    "raw_label": "The entity type as the teacher wrote it.",
    "start": "First code point of the mention.",
    "end": "Code point after the mention.",
    "match": "How the mention was found: exact, or a rule.",
}


def make_croissant(
    run: RunDir, figures: Mapping[str, Any], publication: Target, quality_lines: Sequence[str]
) -> dict[str, Any]:
    """Return the description of a finished run as JSON-LD.

    Args:
        run: the run directory; its samples and annotations are hashed.
        figures: the audit, without paths of this machine.
        publication: where the dataset will be found.
        quality_lines: precision and recall in words.
    """
    manifest = without_paths(run.read_manifest())
    splits = [split for split in SPLITS if sum(figures["samples"]["splits"][split].values())]
    files = [*map(run.samples, splits), run.annotations]
    began = manifest.get("stages", {}).get("explode", {}).get("began", "")
    known = {
        "license": publication.licence.replace(UNKNOWN, ""),
        "url": publication.url,
        "citeAs": bibtex(publication, manifest),
        "datePublished": began[:10],
    }
    return {
        "@context": json.loads(read_template("croissant_context.json")),
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": publication.name or TITLE,
        "description": (
            f"{figures['samples']['count']:,} instruction samples for named-entity recognition in Vietnamese news, of "
            f"{figures['labels']['distinct']:,} entity types in {figures['passages']['count']:,} passages."
        ),
        **{name: value for name, value in known.items() if value},
        "inLanguage": "vi",
        "keywords": ["named-entity-recognition", "open-ner", "vietnamese", "distillation", "instruction-tuning"],
        **dict(_responsible(figures, manifest, quality_lines)),
        "distribution": [_file(run, path) for path in files],
        "recordSet": [
            *(_records(split, f"samples/{split}.parquet", tables.SAMPLE, _SAMPLE) for split in splits),
            _records("annotations", run.annotations.name, tables.ANNOTATION, _ANNOTATION),
        ],
    }


def _file(run: RunDir, path: Path) -> dict[str, Any]:
    name = path.relative_to(run.root).as_posix()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": file_sha256(path),
    }


def _records(name: str, file: str, schema: pa.Schema, texts: Mapping[str, str]) -> dict[str, Any]:
    fields = [
        _field(name, column, texts, {"fileObject": {"@id": file}, "extract": {"column": column.name}})
        for column in schema
    ]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def _field(parent: str, column: pa.Field, texts: Mapping[str, str], source: Mapping[str, Any]) -> dict[str, Any]:
    identity = f"{parent}/{column.name}"
    field = {"@type": "cr:Field", "@id": identity, "name": identity, "description": texts[column.name]}
    if pa.types.is_list(column.type):
        parts = [
            _field(identity, part, _MENTION, {**source, "transform": {"jsonPath": part.name}})
            for part in column.type.value_type
        ]
        return {**field, "repeated": True, "subField": parts}
    return {**field, "dataType": _data_type(column.type), "source": source}


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    return "sc:Integer" if pa.types.is_integer(kind) else "sc:Text"


def _responsible(
    figures: Mapping[str, Any], manifest: Mapping[str, Any], quality_lines: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the fields of the vocabulary for responsible AI that follow from the run."""
    source, config, teacher = manifest["source"], manifest["config"], figures["teacher"]
    made_by = f"vner-annotate {manifest['made_by']['vner-annotate']}"
    articles = source["name"] + (f" at commit {source['revision']}" if source.get("revision") else "")
    low, high = figures["passages"]["bounds"]
    prompt = teacher.get("prompt")
    asked = f"prompt {prompt['name']} version {prompt['version']}, sha256 {prompt['sha256']}" if prompt else "no prompt"
    seed = f" with seed {config['seed']}" if "seed" in config else ""
    yield "rai:dataCollection", f"Articles drawn at random{seed} from {articles}."
    yield "rai:dataCollectionRawData", f"Articles in Vietnamese: {articles}."
    yield (
        "rai:dataPreprocessingProtocol",
        [
            f"Articles were cut into passages of {low} to {high} tokens ({figures['tokenizer']['name']}), "
            "whole sentences each.",
            *_left_out(figures["funnel"], ("sample", "chunk", "overlap")),
        ],
    )
    yield (
        "rai:dataAnnotationProtocol",
        [
            f"The model {teacher['model']} named the entities of each passage and their types ({asked}).",
            "Labels were normalised to lower-case English; mentions that do not stand in their passage were rejected.",
            *_left_out(figures["funnel"], ("parse", "clean", "explode")),
        ],
    )
    yield "rai:dataAnnotationPlatform", made_by
    yield "rai:machineAnnotationTools", [str(teacher["model"]), made_by]
    yield "rai:annotationsPerItem", "1"
    yield "rai:dataAnnotationAnalysis", list(quality_lines) or ["Quality: not measured."]
    yield "rai:dataUseCases", "Training and evaluation of open-domain named-entity recognition in Vietnamese."
    yield (
        "rai:dataLimitations",
        [
            "The annotations are those of a model: entities may be missing, and types may be wrong.",
            *map(str, figures.get("notes", ())),
        ],
    )
    people = next((entry["mentions"] for entry in figures["labels"]["top"] if entry["label"] == "person"), 0)
    if people:
        yield "rai:personalSensitiveInformation", f"The articles name persons: {people} mentions of the type person."


def _left_out(funnel: Sequence[Mapping[str, Any]], stages: Sequence[str]) -> Iterator[str]:
    for flow in funnel:
        if flow["stage"] in stages and flow["rejected"]:
            reasons = "; ".join(f"{number} {reason}" for reason, number in flow["rejected"].items())
            yield f"Left out at the stage {flow['stage']}, of {flow['in']} {shown_unit(flow['unit'])}s: {reasons}."
