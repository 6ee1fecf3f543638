"""Open a page to see emotions in recordings, correct them, and train on the corrections.

    ser web
    ser web --data interviews/ --model attention_blstm_fcn-ravdess
    ser web --data interviews/ --model runs/mine --port 8080
    ser web --host 0.0.0.0                     # for other computers too; prints a token that they have to give

The page is on this computer alone unless --host says otherwise. Recordings, labels and trainings are in --data; labels
are in its labels.csv, which ser label reads and writes too. Ctrl-C ends the server, and interrupts a training, which
the page resumes.
"""

import argparse
import getpass
import secrets
import socket
import sys
from pathlib import Path

from zoo.errors import UserError
from zoo.utils import extras
from zoo.utils.parser import Parser
from zoo.utils.text import printable

LEAST_TOKEN = 16  # letters of --token


def main() -> int:
    args = _parser().parse_args()
    _check(args)
    from zoo.web.security import is_loopback
    from zoo.web.server import serve

    token = args.token or ("" if is_loopback(args.host) else secrets.token_urlsafe(24))
    listening = _listen(args.host, args.port)
    shown = f"[{args.host}]" if ":" in args.host else args.host
    shown = socket.gethostname() if args.host in ("0.0.0.0", "::") else shown
    address = f"http://{shown}:{listening.getsockname()[1]}/"
    api = _api(args, token)
    print(f"recordings and labels: {printable(str(api.project.folder))}", file=sys.stderr)
    # Behind #, the token stays in the browser: it is sent once, and no log or address of a request has it.
    print(f"open {address}{f'#token={token}' if token else ''}   (Ctrl-C ends the server)", flush=True)
    serve(api, listening, args.host, args.host_name)
    return 0


def _parser() -> Parser:
    parser = Parser(description=__doc__)
    named = "a name of ser models, or the folder of an export or a run (default: attention_blstm_fcn-ravdess)"
    parser.add_argument("--model", default="attention_blstm_fcn-ravdess", help=named)
    data = "folder of recordings and labels, made where it is not there (default: ser-web)"
    parser.add_argument("--data", type=Path, default=Path("ser-web"), metavar="DIR", help=data)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    names = "another name by which browsers reach this server; may be repeated"
    parser.add_argument("--host-name", action="append", default=[], metavar="NAME", help=names)
    parser.add_argument("--port", type=int, default=8000, help="port; 0 takes a free one (default: 8000)")
    token = f"what a browser has to give, {LEAST_TOKEN} characters or more (default: one is made where --host needs it)"
    parser.add_argument("--token", default="", help=token)
    channels = "mix all, or give each its segments, or take one (default: mix)"
    parser.add_argument("--channels", choices=("mix", "split", "left", "right"), default="mix", help=channels)
    classes = "emotions to choose from (default: the model's)"
    parser.add_argument("--classes", default="", metavar="A,B,C", help=classes)
    parser.add_argument("--rater", default="", metavar="NAME", help="who labels, until the page is told otherwise")
    most = "largest recording to take (default: 500)"
    parser.add_argument("--most-megabytes", type=int, default=500, metavar="MB", help=most)
    return parser


def _check(args: argparse.Namespace) -> None:
    extras.need("web", "ser web")
    if not 0 <= args.port <= 65_535:
        raise UserError(f"--port is {args.port}, expected 0 to 65535")
    if args.token and len(args.token) < LEAST_TOKEN:
        raise UserError(f"--token has {len(args.token)} characters, expected {LEAST_TOKEN} or more")
    if not args.token.isascii() or not args.token.isprintable():
        raise UserError("--token: expected printable ASCII characters")
    if args.most_megabytes < 1:
        raise UserError(f"--most-megabytes is {args.most_megabytes}, expected 1 or more")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--host {host} --port {port}: cannot listen there ({reason}). Give another --port") from error


def _api(args: argparse.Namespace, token: str):
    from zoo.web.api import Api
    from zoo.web.models import Models
    from zoo.web.project import Project
    from zoo.web.training import Trainings

    project = Project(args.data)
    models = Models(project, args.model, args.channels)
    classes = tuple(name.strip() for name in args.classes.split(",") if name.strip())
    rater = args.rater.strip() or _user()
    return Api(project, models, Trainings(project, models), rater, token, args.most_megabytes * 10**6, classes)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "me"
