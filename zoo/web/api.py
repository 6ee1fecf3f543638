"""Answer the page's requests: JSON, sounds, pictures and tables; a mistake is {"error": sentence}."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

from zoo.errors import UserError, unknown
from zoo.inference.rows import MIX
from zoo.learning.labelling import label_file
from zoo.pages.page import colors_of, ink_on
from zoo.utils.atomic_files import csv_text
from zoo.utils.json_files import parse_json
from zoo.web import comparison, labels, pictures
from zoo.web.models import Models
from zoo.web.project import NotThere, Project, TooLarge
from zoo.web.security import COOKIE, MOST_JSON_BYTES, same, session_of
from zoo.web.training import Trainings, methods

Handler = Callable[[Request], Awaitable[Response]]
_SAID = {"start": float, "end": (float, type(None)), "channel": (int, str), "label": str, "rater": str}
_ABOUT = {"name?": str, "speaker?": str}
_WANTED = {"method": str, "epochs": int}


@dataclass(frozen=True)
class Api:
    """The requests of one project. `classes` are those people may choose, beside the model's own and those in use."""

    project: Project
    models: Models
    trainings: Trainings
    rater: str
    token: str
    most_bytes: int
    classes: tuple[str, ...] = ()

    async def login(self, request: Request) -> Response:
        """Take the token once, and give a cookie in its place that programs of the page cannot read."""
        given = await _body(request, {"token": str})
        if not self.token or not same(given["token"], self.token):
            return JSONResponse({"error": "This is not the token that ser web printed when it started"}, 403)
        answer = JSONResponse({"ok": True})
        answer.set_cookie(COOKIE, session_of(self.token), httponly=True, samesite="strict", max_age=30 * 86_400)
        return answer

    async def state(self, _request: Request) -> Response:
        def found() -> dict[str, Any]:
            classes = self._classes()
            colors = {name: [color, ink_on(color)] for name, color in colors_of(list(classes)).items()}
            facts: dict[str, Any] = {
                "model": self.models.describe(),
                "classes": classes,
                "colors": colors,
                "rater": self.rater,
            }
            facts |= {"strategies": list(labels.QUEUE_STRATEGIES), "methods": methods(facts["model"]["base"])}
            return {**facts, "folder": self.project.folder.name, "most_megabytes": self.most_bytes // 10**6}

        return JSONResponse(await run_in_threadpool(found))

    async def recordings(self, _request: Request) -> Response:
        def found() -> dict[str, Any]:
            every, bad = self.project.recordings()
            said = labels.read(self.project)
            of_people = [row.file for row in label_file.current(said) if row.source == "human"]
            rows = {one.file: self.models.known_rows(one.file) for one in every}
            counts = {one.file: of_people.count(labels.name_of(one.file)) for one in every}
            listed = [{**one.facts(), "labels": counts[one.file], **_summary(rows[one.file])} for one in every]
            return {"recordings": listed, "bad": bad}

        return JSONResponse(await run_in_threadpool(found))

    async def upload(self, request: Request) -> Response:
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.most_bytes:
            raise TooLarge(f"Expected at most {self.most_bytes // 10**6} MB. Cut the recording, or send it as FLAC")
        name = request.query_params.get("name", "recording.wav")
        found = await self.project.add(name, request.stream(), self.most_bytes)
        return JSONResponse(found.facts(), 201)

    async def describe(self, request: Request) -> Response:
        said = await _body(request, _ABOUT)
        found = await run_in_threadpool(lambda: self.project.say(_file(request), **_texts(said)))
        return JSONResponse(found.facts())

    async def remove(self, request: Request) -> Response:
        await run_in_threadpool(self.project.remove, _file(request))
        return JSONResponse({"ok": True})

    async def audio(self, request: Request) -> Response:
        return FileResponse(self.project.path(_file(request)))  # answers requests for a part too

    async def view(self, request: Request) -> Response:
        path = await run_in_threadpool(pictures.view, self.project, _file(request))
        return FileResponse(path, media_type="application/json")

    async def spectrogram(self, request: Request) -> Response:
        path = await run_in_threadpool(pictures.view, self.project, _file(request))
        channel = request.path_params["channel"]
        if channel >= self.project.recording(_file(request)).channels:
            raise NotThere("This recording has fewer channels")
        return FileResponse(path.with_name(f"{channel}.png"), media_type="image/png")

    async def segments(self, request: Request) -> Response:
        file, rater = _file(request), request.query_params.get("rater", self.rater)

        def found() -> dict[str, Any]:
            recording = self.project.recording(file)
            return {"recording": recording.facts(), "rows": self._joined(file, rater)}

        return JSONResponse(await run_in_threadpool(found))

    async def label(self, request: Request) -> Response:
        said = await _body(request, _SAID)
        if isinstance(said["channel"], str) and said["channel"] != MIX:
            raise UserError(f"channel: expected a number or {MIX}, found {said['channel'][:20]!r}")
        file = _file(request)
        row = await run_in_threadpool(lambda: labels.add(self.project, file, said, self._classes()))
        return JSONResponse({"label": row.label, "time": row.time}, 201)

    async def queue(self, request: Request) -> Response:
        strategy = request.query_params.get("strategy", labels.QUEUE_STRATEGIES[1])
        count = request.query_params.get("count", "50")

        def found() -> dict[str, Any]:
            every, _ = self.project.recordings()
            rows, bad = self._every_row([one.file for one in every])
            if not count.isdecimal():
                raise UserError(f"count is {count[:20]!r}, expected 1 to 1000")
            wanted = labels.queue(rows, labels.read(self.project), strategy, int(count), self.models.outputs)
            names = {one.file: one.name for one in every}
            return {"queue": [{**row, "name": names[row["file"]]} for row in wanted], "segments": len(rows), "bad": bad}

        return JSONResponse(await run_in_threadpool(found))

    async def rows_csv(self, _request: Request) -> Response:
        def found() -> str:
            rows, _ = self._every_row([one.file for one in self.project.recordings()[0]])
            return csv_text([labels.flat(row, self.models.outputs) for row in rows]) if rows else ""

        return _table(await run_in_threadpool(found), "segments.csv")

    async def labels_csv(self, _request: Request) -> Response:
        path = self.project.labels
        return _table(path.read_text(encoding="utf-8") if path.exists() else "", "labels.csv")

    async def training(self, _request: Request) -> Response:
        return JSONResponse({"trainings": await run_in_threadpool(self.trainings.every)})

    async def begin(self, request: Request) -> Response:
        wanted = await _body(request, _WANTED)
        number = await run_in_threadpool(self.trainings.start, wanted["method"], wanted["epochs"])
        return JSONResponse(await run_in_threadpool(self.trainings.one, number), 201)

    async def compare(self, request: Request) -> Response:
        number = request.path_params["number"]
        found = await run_in_threadpool(comparison.compare, self.project, self.models, self.trainings, number)
        return JSONResponse({"comparison": found})

    async def change(self, request: Request) -> Response:
        """Cancel or resume a training, or predict with its model; number 0 is the model of the command line."""
        number, action = request.path_params["number"], request.path_params["action"]

        def change() -> None:
            if action == "cancel":
                self.trainings.cancel(number)
            elif action == "resume":
                self.trainings.resume(number)
            elif action != "use":
                raise unknown("action", action, ("cancel", "resume", "use"))
            elif number == "0" or self.trainings.one(number)["state"] == "done":
                self.models.use("" if number == "0" else number)
            else:
                raise UserError("This training is not finished")

        await run_in_threadpool(change)
        return JSONResponse({"ok": True})

    def _classes(self) -> tuple[str, ...]:
        used = sorted({row.label for row in label_file.current(labels.read(self.project))})
        return tuple(dict.fromkeys([*(self.classes or labels_of(self.models)), *used]))

    def _joined(self, file: str, rater: str) -> list[labels.Row]:
        return labels.joined(file, self.models.rows(file), labels.read(self.project), rater)

    def _every_row(self, files: list[str]) -> tuple[list[labels.Row], list[dict[str, str]]]:
        rows: list[labels.Row] = []
        bad = []
        for file in files:
            try:
                rows += self._joined(file, self.rater)
            except UserError as error:
                bad.append({"file": file, "error": str(error)})
        return rows, bad


def labels_of(models: Models) -> tuple[str, ...]:
    """Return the classes of the model of the command line, so that a retrained one does not take any away."""
    from zoo.web.models import outputs

    return tuple(dict.fromkeys([*outputs(models.base), *models.outputs]))


async def refused(_request: Request, error: Exception) -> Response:
    """Answer a mistake of the user, or of the browser, with its sentence."""
    status = 413 if isinstance(error, TooLarge) else 404 if isinstance(error, NotThere) else 400
    return JSONResponse({"error": str(error)}, status)


async def gone(_request: Request, _error: Exception) -> Response:
    """Answer a browser that went away during an upload; what came is removed."""
    return Response(status_code=400)


HANDLED = {UserError: refused, ClientDisconnect: gone}


def _file(request: Request) -> str:
    return str(request.path_params["file"])


def _texts(said: dict[str, Any]) -> dict[str, str]:
    return {name: said[name] for name in ("name", "speaker") if name in said}


async def _body(request: Request, shape: Any) -> dict[str, Any]:
    """Return a request's JSON of a shape. Raises UserError, TooLarge."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > MOST_JSON_BYTES:
            raise TooLarge("The request is too large")
    try:
        return dict(parse_json(content, shape))
    except ValueError as error:
        raise UserError(f"expected a request of the page, found {error}") from error


def _summary(rows: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Return how many segments a recording has, and its commonest emotion; None where it is not predicted yet."""
    if rows is None:
        return {"segments": None, "emotion": None}
    found = [row["emotion"] for row in rows if row["emotion"]]
    return {"segments": len(rows), "emotion": max(sorted(set(found)), key=found.count) if found else None}


def _table(text: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


STATIC = Path(__file__).parent / "static"
