# The plugin's image: server and workers are the same image with another command.
#   docker build -t active-learning .
#   docker build -t active-learning --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .    # NVIDIA GPUs
FROM python:3.11-slim-bookworm

# Whose wheels of torch: those for processors alone, which are a tenth of the size, unless told otherwise.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    DATA_DIR=/data \
    TORCH_HOME=/weights

# A fixed uid, so that volumes keep their owner from image to image; new named volumes take the folders' owner over.
RUN useradd --uid 1000 --create-home plugin \
    && install --directory --owner=plugin --group=plugin "$DATA_DIR" "$TORCH_HOME"

WORKDIR /app

# Torch comes from its own index alone; requirements.txt says which version, the index only for which hardware.
COPY requirements.txt ./
RUN grep -E '^torch(vision)?==' requirements.txt > /tmp/torch.txt \
    && pip install --no-cache-dir --index-url "$TORCH_INDEX" -r /tmp/torch.txt \
    && pip install --no-cache-dir -r requirements.txt \
    && rm /tmp/torch.txt

# The code comes last: a change of it costs a layer of kilobytes.
COPY backend/ backend/
COPY model/ model/
COPY strategies/ strategies/

USER 1000
EXPOSE 9090
ENTRYPOINT ["python", "-m", "backend"]
CMD ["--help"]
