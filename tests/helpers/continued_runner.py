"""Stand-in for a trial that continues another, in tests of workers."""


def trial(folder, assignment):
    parent = folder.parent / assignment["parent"]
    folder.mkdir(parents=True)
    (folder / "model").write_text("weights")
    names = ", ".join(path.relative_to(folder.parent).as_posix() for path in parent.iterdir())
    return {"status": "failed", "reason": f"found {names}"}
