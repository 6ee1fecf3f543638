"""Send requests to a running TensorFlow Serving over REST and gRPC, and compare its answers with the SavedModel's.

    python scripts/serve_request.py saved_models/NAME --host localhost            # prints the answers
    python scripts/serve_request.py saved_models/NAME --host localhost --compare  # exit code 1 where they differ

The server must serve the export under its folder's name; gRPC needs tensorflow-serving-api and grpcio.
"""

import json
from pathlib import Path
from urllib.request import Request, urlopen

from zoo.utils.parser import Parser

TOLERANCE = 1e-5


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("export", type=Path, help="folder of versions, as the server has it")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--rest-port", type=int, default=8501)
    parser.add_argument("--grpc-port", type=int, default=8500)
    parser.add_argument("--compare", action="store_true", help="exit code 1 where an answer differs from Python's")
    args = parser.parse_args()
    import numpy as np

    from zoo.export.requests import default_requests
    from zoo.serving import saved_model

    name, differs = args.export.resolve().name, False
    for request, expected in default_requests(saved_model.load(args.export)):
        rest = _rest(f"http://{args.host}:{args.rest_port}/v1/models/{name}:predict", request, list(expected))
        grpc = _grpc(f"{args.host}:{args.grpc_port}", name, request)
        for api, answers in (("REST", rest), ("gRPC", grpc)):
            difference = max(np.abs(answers[key] - values).max() for key, values in expected.items())
            differs |= not difference <= TOLERANCE
            values = {key: value.tolist() for key, value in answers.items()}
            print(f"{api}: largest difference {difference:.1e}; {values}"[:400])
    return int(args.compare and differs)


def _rest(address: str, request, names):
    import numpy as np

    body = {"signature_name": "serving_default", "inputs": {name: value.tolist() for name, value in request.items()}}
    message = Request(address, json.dumps(body, allow_nan=False).encode(), {"Content-Type": "application/json"})
    with urlopen(message, timeout=60) as response:
        outputs = json.load(response)["outputs"]
    if len(names) == 1:  # a single output is sent without its name
        outputs = {names[0]: outputs}
    return {name: np.array(value) for name, value in outputs.items()}


def _grpc(address: str, name: str, request):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = name, "serving_default"
    for key, value in request.items():
        message.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, options) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(message, timeout=60)
    return {key: tf.make_ndarray(value) for key, value in answer.outputs.items()}
