# The page of `ser web` on a CPU:
#
#     docker build --tag speech-emotion-zoo .
#     docker run --publish 8000:8000 --env SER_TOKEN=sixteen-letters-or-more --volume ser-web:/work speech-emotion-zoo
#
# then http://localhost:8000/#token=sixteen-letters-or-more. Without SER_TOKEN the server makes one and prints it. By
# another name than localhost: --env SER_HOST_NAME=NAME. Any other command: docker run ... speech-emotion-zoo ser models
FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
COPY --from=build /source/constraints.txt /wheels/*.whl /wheels/
# Nothing of the system is needed: the wheels of soundfile and soxr hold their libraries.
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt "$(ls /wheels/*.whl)[web]"
RUN useradd --create-home --uid 1000 zoo && mkdir /work && chown zoo /work
USER zoo
WORKDIR /work
ENV CUDA_VISIBLE_DEVICES=-1 PYTHONUNBUFFERED=1 SER_TOKEN="" SER_HOST_NAME=localhost
EXPOSE 8000
CMD ["sh", "-c", "exec ser web --host 0.0.0.0 --port 8000 --host-name \"$SER_HOST_NAME\" --data /work --token \"$SER_TOKEN\""]
