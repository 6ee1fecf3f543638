"""List the jobs of `ser reproduce`, paper by paper."""

from zoo.reproduction import bakhshi, d42_music, d42_noise, d42_ratings, khan, tzirakis, zhao
from zoo.reproduction.job import Job

_MODULES = (zhao, bakhshi, tzirakis, khan, d42_noise, d42_music, d42_ratings)
JOBS: dict[str, Job] = {job.name: job for module in _MODULES for job in module.JOBS}


def in_plain_text() -> str:
    """Return every job with what data it needs, as --list prints them."""
    return "\n".join(f"{job.name:20}{job.title}\n{'':20}needs {job.needs}" for job in JOBS.values())
