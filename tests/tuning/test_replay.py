"""Whatever a journal says, its search is read: what does not fit costs its trial and no other."""

import json
import math
import zlib

import pytest

from tuning.journal import NAMES, Journal
from tuning.replay import read
from tuning.results import show
from tuning.search import Search
from tuning.space import TUNERS
from zoo.errors import UserError

SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"}, "batch_size": [8, 16, 32]}
GOOD = {"status": "completed", "score": 0.5, "folds": [0.25, 0.75], "epochs": 4, "seconds": 2.0}


def begun(folder, tuner="random", trials=6):
    """A search with 6 trials that ended well; returns its journal's events."""
    more = {"max_epochs": 9} if tuner == "hyperband" else {}
    description = {"model": "fcn", "base": {"corpus": "ravdess"}, "space": SPACE, "tuner": tuner, "trials": trials}
    search = Search.create(folder, {**description, **more})
    for _ in range(6):
        search.finish(search.next("one")["trial"], GOOD, "one")
    search.close()
    return search._journal.events


def written(folder, events):
    """Write a journal as its file format says, without the module that checks what it writes."""
    checksum, lines = 0, []
    for event in events:
        checksum = zlib.crc32(json.dumps(event, sort_keys=True, separators=(",", ":")).encode(), checksum)
        lines.append(json.dumps({**event, "crc32": checksum}) + "\n")
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (folder / name).write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    return begun(tmp_path_factory.mktemp("good") / "search")


def ended(events, trial):
    """The place of a trial's end."""
    return next(n for n, event in enumerate(events) if (event["event"], event.get("trial")) == ("finished", trial))


SCORES = (1e200, -5, -0.01, 1.01, math.nan, math.inf, "0.5", True, None, [], {}, 10**400)
BAD_ENDS = [{"score": score} for score in SCORES] + [
    {"folds": [0.5, 1e200]},
    {"folds": "0.5"},
    {"folds": [[[[]]]]},
    {"status": "won"},
    {"status": "stop"},
    {"status": ["completed"]},
    {"epochs": -1},
    {"epochs": 1.5},
    {"epochs": True},
    {"epochs": 10**400},
    {"seconds": -1.0},
    {"seconds": math.nan},
    {"seconds": 1e300},
    {"seconds": "1"},
    {"reason": None},
]


@pytest.mark.parametrize("change", BAD_ENDS, ids=lambda change: f"{change!r:.40}")
def test_an_impossible_outcome_fails_its_trial_and_no_other(tmp_path, events, change):
    found = list(events)
    place = ended(found, "0002")
    found[place] = {**found[place], **change}
    _, asked, trials, (note,) = read(written(tmp_path, found))
    assert [trial.status for trial in trials] == ["completed", "failed", *["completed"] * 4] and asked == 6
    (name,) = change
    assert trials[1].score is None and f"{name} of a trial's outcome cannot be " in trials[1].reason
    assert note.startswith(f"{tmp_path / NAMES[0]}, line {place + 1}, trial 0002 failed: {name} of a trial's outcome")


@pytest.mark.parametrize("tuner", [name for name in TUNERS if name != "bayesian"])
def test_a_search_with_an_impossible_outcome_goes_on(tmp_path, tuner):
    found = begun(tmp_path / "first", tuner, 8)
    place = ended(found, "0003")
    found[place] = {**found[place], "score": 1e200, "folds": [1e200]}
    search = Search.open(written(tmp_path / "search", found))
    (note,) = search.notes
    assert "trial 0003 failed" in note
    while isinstance(assignment := search.next("two"), dict):
        assert search.finish(assignment["trial"], GOOD, "two")
    assert [trial.status for trial in search.trials] == ["completed" if n != 2 else "failed" for n in range(8)]
    search.close()
    assert read(tmp_path / "search")[:3] == (search.header, 8, search.trials)


def test_a_score_beyond_its_metrics_range_is_refused_before_it_is_written(tmp_path):
    begun(tmp_path, trials=7)
    search = Search.open(tmp_path)
    trial = search.next("one")["trial"]
    before = (tmp_path / NAMES[0]).read_bytes()
    for change in BAD_ENDS:
        with pytest.raises(ValueError, match=f"{next(iter(change))} of a trial's outcome cannot be"):
            search.finish(trial, {**GOOD, **change}, "one")
    assert (tmp_path / NAMES[0]).read_bytes() == before
    assert search.finish(trial, {**GOOD, "score": 1.0 + 1e-9, "folds": [0, 1]}, "one")
    search.close()
    assert read(tmp_path).trials[-1].folds == [0.0, 1.0]


@pytest.mark.parametrize(
    "change",
    [
        {"values": {"learning_rate": 5.0, "batch_size": 8}},
        {"values": {"learning_rate": math.nan, "batch_size": 8}},
        {"values": {"learning_rate": "1e-3", "batch_size": 8}},
        {"values": {"learning_rate": 1e-3, "batch_size": 9}},
        {"values": {"learning_rate": 1e-3, "batch_size": True}},
        {"values": {"learning_rate": 1e-3}},
        {"values": {"learning_rate": 1e-3, "batch_size": 8, "more": 1}},
        {"values": [1]},
        {"values": None},
        {"epochs": -3},
        {"epochs": "9"},
        {"parent": "0009"},
        {"parent": 1},
    ],
    ids=lambda change: f"{change!r:.60}",
)
def test_a_proposal_outside_the_space_fails_and_the_search_goes_on(tmp_path, events, change):
    place = next(n for n, event in enumerate(events) if event.get("trial") == "0002")
    found = [*events[:place], {**events[place], **change}, *events[place + 1 :], {"event": "trials", "trials": 7}]
    search = Search.open(written(tmp_path, found))
    assert isinstance(assignment := search.next("two"), dict) and assignment["trial"] == "0007"
    assert search.finish("0007", GOOD, "two")
    search.close()
    _, _, trials, notes = read(tmp_path)
    assert [trial.status for trial in trials] == ["completed", "failed", *["completed"] * 5]
    assert "trial 0002 failed: " in notes[0] and "left out: trial 0002 had ended before" in notes[1]


@pytest.mark.parametrize(
    ("stray", "note"),
    [
        ({"event": "proposed", "trial": "0002", "values": {}}, "trial 0002 was proposed before"),
        ({"event": "proposed", "trial": 7, "values": {}}, "expected a trial's number such as 0001, found 7"),
        ({"event": "proposed", "trial": "../../x", "values": {}}, "expected a trial's number such as 0001"),
        ({"event": "finished", "trial": "0002", **GOOD, "score": 0.9}, "trial 0002 had ended before"),
        ({"event": "finished", "trial": "0099", **GOOD}, "trial '0099' was not proposed"),
        ({"event": "finished", "trial": ["0002"], **GOOD}, "was not proposed"),
        ({"event": "finished"}, "trial None was not proposed"),
        ({"event": "trials", "trials": -4}, "expected a proposal, an end or a number of trials"),
        ({"event": "trials", "trials": 1e9}, "expected a proposal"),
        ({"event": "trials"}, "expected a proposal"),
        ({"event": "unheard of"}, "expected a proposal"),
        ({"event": 7}, "expected a proposal"),
        ({}, "expected a proposal"),
    ],
)
def test_an_event_that_does_not_fit_is_left_out_with_a_note(tmp_path, events, stray, note):
    good = read(written(tmp_path / "good", events))
    place = ended(events, "0004")
    written(tmp_path / "search", [*events[:place], stray, *events[place:]])
    header, asked, trials, notes = read(tmp_path / "search")
    assert (header, asked, trials) == good[:3]
    assert len(notes) == 1 and f"line {place + 1}, left out: " in notes[0] and note in notes[0]
    with_notes = Search.open(tmp_path / "search")
    assert with_notes.notes == notes and with_notes.trials == trials
    with_notes.close()


BAD_HEADERS = [{"event": "proposed"}, {"model": "no such"}, {"model": ["fcn"]}, {"base": 1}, {"base": {"option": []}}]
BAD_HEADERS += [{"space": {}}, {"space": [1]}, {"space": {"batch_size": []}}, {"space": {"batch_size": {"low": 9}}}]
BAD_HEADERS += [{"tuner": "guess"}, {"tuner": {}}, {"seed": -1}, {"seed": "0"}, {"inner_folds": -3}, {"prune": "all"}]
BAD_HEADERS += [{"max_epochs": 9}, {"base": {"backend": []}}, {"space": {"batch_size": {"low": 9, "high": 1}}}]


@pytest.mark.parametrize(
    "change",
    BAD_HEADERS,
    ids=str,
)
def test_a_first_line_that_is_no_search_is_one_error(tmp_path, events, change):
    written(tmp_path, [{**events[0], **change}, *events[1:]])
    for act in (read, Search.open, show.show):
        with pytest.raises(UserError, match=r"search\.jsonl, line 1: .*restore the file from a copy"):
            act(tmp_path)


def test_lines_behind_a_damaged_one_are_kept_in_a_copy(tmp_path, events):
    folder = written(tmp_path, events)
    lines = (folder / NAMES[0]).read_bytes().splitlines(keepends=True)
    for damage in (b'{"event": ' + b"[" * 100_000 + b"\n", b"\n", b"[1]\n", b'"crc32"\n', b"\xff\n"):
        whole = b"".join([*lines[:6], damage, *lines[7:]])
        for name in NAMES:
            (folder / name).write_bytes(whole)
        assert len(read(folder).trials) == len(read(written(tmp_path / "part", events[:6])).trials)
        journal = Journal(folder)
        assert len(journal.notes) == 2 and "line 7 is damaged" in journal.notes[0]
        journal.close()
        assert (folder / "search-damaged.jsonl").read_bytes() == whole
        assert (folder / NAMES[0]).read_bytes() == b"".join(lines[:6])


def test_tables_show_trials_whose_values_are_unknown_and_escape_what_others_wrote(tmp_path, events, capsys):
    found = [*events, {"event": "proposed", "trial": "0007", "values": {}, "epochs": None, "parent": None}]
    place = ended(found, "0002")
    found[place] = {**found[place], "status": "failed", "reason": "\x1b]0;owned\x07 [bold]\u202e", "worker": "=1+1"}
    show.show(written(tmp_path, found))
    printed = capsys.readouterr().out
    assert r"failed: 2; \x1b]0;owned\x07 [bold]\u202e; its values are not of the space: {}" in " ".join(printed.split())
    assert not {"\x1b]", "\x07", "\u202e"} & set(printed)
    rows = (tmp_path / "trials.csv").read_text()
    assert ",'=1+1," in rows and "\x1b" not in rows


def test_without_a_number_of_trials_a_search_has_as_many_as_it_has(tmp_path, events):
    assert read(written(tmp_path, [event for event in events if event["event"] != "trials"])).asked == 6
