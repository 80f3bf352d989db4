"""Publish a run directory on the Hugging Face Hub in one commit.

The Hub's own client finds the token, uploads and retries. It does not send a file that the Hub has, so an interrupted
publication continues where it stopped. Ledger, articles and rejected records are sent only with --include: they hold
raw replies, and text that is in no sample.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from annotator.config.settings import STAGES
from annotator.errors import ConfigError, PublishError, RunDirError, one_line
from annotator.ledger import SqliteLedger
from annotator.run.backends import address_of
from annotator.run.manifest.rebuilding import make_recipe
from annotator.storage.rundir import SPLITS, RunDir, is_manifest
from annotator.terminal.words import have
from data_cards.audit.compute import audit
from data_cards.card import pictures, unanswered, write_card
from data_cards.hub_errors import explained
from data_cards.licences import UNKNOWN
from data_cards.plots import FIGURES
from data_cards.publication import MAIN, Item, Plan, Receipt, Target, without_paths
from data_cards.report import render

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import DatasetInfo

SILENCE: Final = 300.0
"""Seconds without a byte after which a connection is closed."""
MANIFEST: Final = "manifest.json"
EXTRAS: Final = ("documents", "passages", "rejected", "ledger")
"""Files of a run directory that are sent only with --include."""


def prepare(run: RunDir, target: Target, include: Sequence[str] = ()) -> Plan:
    """Audit the run, write its card, and list what will be sent, without a request.

    Raises:
        ConfigError: the Hub does not allow the name, or something unknown is to be included.
        RunDirError: a stage has not been run, or a file is damaged.
    """
    target = replace(target, url=_url(target))
    manifest = run.read_manifest()
    missing = [stage for stage in STAGES if stage not in manifest.get("stages", {})]
    if missing:
        raise RunDirError(f"{run.root} is not finished ({missing[0]} is missing): vner-annotate build --out {run.root}")
    figures = audit(run)
    card = write_card(run, figures, target)
    splits = [split for split in SPLITS if sum(figures["samples"]["splits"][split].values())]
    public = without_examples(figures)
    contents: dict[str, Path | bytes] = {
        "README.md": card.encode("utf-8"),
        **{f"samples/{split}.parquet": run.samples(split) for split in splits},
        "annotations.parquet": run.annotations,
        **({"agreement.parquet": run.agreement} if run.agreement.exists() else {}),
        run.croissant.name: run.croissant,
        "audit.json": _json(without_paths(public)),
        MANIFEST: _json(without_paths(manifest)),
        run.recipe.name: make_recipe(run, without_paths).encode("utf-8"),
        **({run.quality.name: run.quality} if run.quality.exists() else {}),
        **{f"{FIGURES}/{path.name}": path for path in pictures(run)},
        **({run.report.name: render(run, public, seed=0).encode("utf-8")} if run.report.is_file() else {}),
        **{path.name: path for path in _extras(run, include)},
    }
    problems = list(figures["problems"])
    if number := unanswered(manifest):
        problems.append(f"{have(number, 'passage')} no answer yet; vner-annotate build --out {run.root} asks again")
    return Plan(target, tuple(_items(contents)), tuple(problems), tuple(_warnings(target, include)))


def without_examples(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures without the examples of rejected records, which are raw replies and text in no sample."""
    return {**figures, "rejected": [{**kind, "examples": []} for kind in figures.get("rejected", ())]}


def refuse(plan: Plan) -> None:
    """Stop a publication that has problems.

    Raises:
        PublishError: with the first problem.
    """
    if plan.problems:
        more = f" (and {len(plan.problems) - 1} more)" if len(plan.problems) > 1 else ""
        raise PublishError(f"not published: {plan.problems[0]}{more}; fix it, or add --anyway")


def send(plan: Plan) -> Receipt:
    """Send what ``plan`` lists in one commit. What was uploaded before is not sent again.

    Raises:
        PublishError: there is no token, or the Hub refused or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_session, get_token

    target = plan.target
    token = get_token()
    if not token:
        raise PublishError("not logged in to the Hub: run `hf auth login`, or set HF_TOKEN")
    api = HfApi(token=token)
    get_session().timeout = SILENCE  # the client's default is to wait for ever
    with explained(target.name, token):
        # None is the default of the account: an organization may keep its datasets private.
        api.create_repo(target.name, repo_type="dataset", private=target.private or None, exist_ok=True)
        if target.private and not api.dataset_info(target.name).private:
            raise PublishError(
                f"{target.name} is there already and is public: make it private on its page, or choose another name"
            )
        head = _head(api, target)
        there = [file.rfilename for file in head.siblings or ()]
        removed = _stale(there, plan.items) if _is_ours(api, target, head, there) else ()
        commit = api.create_commit(
            target.name,
            [
                *(CommitOperationAdd(item.path, item.content) for item in plan.items),
                *(CommitOperationDelete(path) for path in removed),
            ],
            commit_message=target.message or "Publish with vner-annotate",
            repo_type="dataset",
            revision=target.revision,
            parent_commit=head.sha,  # a commit of somebody else in the meantime is not undone
        )
    return Receipt(target.url, commit.oid, commit.oid != head.sha, bool(head.private), removed)


def _head(api: HfApi, target: Target) -> DatasetInfo:
    """Return the last commit of the branch, which is created from ``main`` if needed."""
    from huggingface_hub.errors import RevisionNotFoundError

    try:
        return api.dataset_info(target.name, revision=target.revision)
    except RevisionNotFoundError:
        api.create_branch(target.name, branch=target.revision, repo_type="dataset", exist_ok=True)
        return api.dataset_info(target.name, revision=target.revision)


def _is_ours(api: HfApi, target: Target, head: DatasetInfo, there: Sequence[str]) -> bool:
    """Return whether this program published what the dataset holds now.

    Raises:
        PublishError: its manifest.json is that of another program.
    """
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined] # lazily exported

    if MANIFEST not in there:
        return False
    url = f"{constants.ENDPOINT}/datasets/{target.name}/resolve/{head.sha}/{MANIFEST}"
    response = get_session().get(url, headers=build_hf_headers(token=api.token), follow_redirects=True)
    hf_raise_for_status(response)
    try:
        found = response.json()
    except ValueError:
        found = None
    if not is_manifest(found):
        raise PublishError(f"{target.name} holds a {MANIFEST} of another program; choose another name")
    return True


def _stale(there: Sequence[str], items: Sequence[Item]) -> tuple[str, ...]:
    """Return samples, figures, report and extras of an earlier publication that this one does not have."""
    sent = {item.path for item in items}
    anywhere = RunDir(Path())
    extras: Iterator[Path] = (getattr(anywhere, name) for name in EXTRAS)
    ours = {path.as_posix() for path in (*map(anywhere.samples, SPLITS), anywhere.report, *extras)}
    return tuple(path for path in there if (path in ours or path.startswith(f"{FIGURES}/")) and path not in sent)


def _url(target: Target) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # lazily exported

    try:
        validate_repo_id(target.name)
    except HFValidationError as error:
        raise ConfigError(f"the Hub does not allow this name: {one_line(error)}") from error
    if "/" not in target.name:
        raise ConfigError(f"{target.name} names no owner; write org/name")
    branch = "" if target.revision == MAIN else f"/tree/{target.revision}"
    return f"{constants.ENDPOINT}/datasets/{target.name}{branch}"


def _extras(run: RunDir, include: Sequence[str]) -> Iterator[Path]:
    for name in include:
        if name not in EXTRAS:
            raise ConfigError(f"--include takes {', '.join(EXTRAS)}, not {name!r}")
        if name == "ledger":
            if address := address_of(run):
                raise ConfigError(f"the ledger of {run.root} is the database {address}; what is published is files")
            SqliteLedger(run.ledger).close()  # brings the answers of the write-ahead log into the one file that is sent
        yield getattr(run, name)


def _items(contents: Mapping[str, Path | bytes]) -> Iterator[Item]:
    for path, content in contents.items():
        try:
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
        except OSError as error:
            raise RunDirError(f"cannot read {error.filename}: {error.strerror}; make it again with --fresh") from error
        yield Item(path, content, size)


def _warnings(target: Target, include: Sequence[str]) -> Iterator[str]:
    if target.licence == UNKNOWN:
        yield "the card says that the licence of the dataset is unknown; --licence states one"
    if "ledger" in include:
        yield "the ledger holds every reply of the teacher word for word"
    if not target.private:
        yield "everybody will be able to read it, unless the account's default says otherwise; --private hides it"


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode("utf-8")
