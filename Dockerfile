# netvlad serve on the CPU:
#   docker build -t netvlad .
#   python -c 'import secrets; print(secrets.token_urlsafe())' > token
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/campus.vpr:/maps/campus.vpr" -v "$PWD/token:/run/token:ro" netvlad
# Another map, with its photos: -v "$PWD:/maps" -v "$PWD/photos:/photos:ro" netvlad /maps/town.vpr --root /photos
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 netvlad
WORKDIR /opt/netvlad
COPY pyproject.toml README.md LICENSE ./
COPY src src
# bounds of versions are those of pyproject.toml; PyTorch's wheels for the CPU are a tenth of those for CUDA
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu ".[serve]"

USER 1000
WORKDIR /maps
EXPOSE 8000
# a container is reached from outside of it, so that a token is needed
ENTRYPOINT ["netvlad", "serve", "--host", "0.0.0.0", "--token-file", "/run/token"]
CMD ["/maps/campus.vpr"]
