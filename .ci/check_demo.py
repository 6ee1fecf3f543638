"""Fails unless the newest run, the demo's, tells the emotions of synthetic speech apart."""

import json
from pathlib import Path

LEAST_UA = 0.80

runs = Path(__file__).parents[1] / "runs"
newest = max(runs.glob("*/metrics.json"), key=lambda path: path.stat().st_mtime)
record = json.loads(newest.read_text())
found = f"{newest}: UA {record['ua']['value']:.3f} on {record['n_clips']} clips of {record['corpus']}"
if not (record["synthetic"] and record["corpus"] == "iemocap" and record["ua"]["value"] >= LEAST_UA):
    raise SystemExit(f"{found}; expected at least {LEAST_UA} on synthetic iemocap")
print(found)
