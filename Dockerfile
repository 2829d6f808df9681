# docker build -t espalier .            (--build-arg BASE=… for another image with Node 24 or later and npm)
ARG BASE=node:26-slim

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY build.ts ./
COPY src src
RUN npm run build && chmod 755 dist/main.js && chown -R 1000:1000 dist
# Each verb that runs for long is called once, as it will be: it refuses an empty configuration, and leaves what node has compiled.
USER 1000:1000
RUN for verb in issuer agent; do \
      node --max-semi-space-size=2 --initial-old-space-size=64 --single-threaded-gc dist/main.js $verb run --config /dev/null; [ $? = 2 ] || exit 1; \
    done && chmod -R a+rX dist/.compiled

FROM ${BASE}
WORKDIR /app
# Whoever runs it may not change it.
COPY --from=build --chown=0:0 /app/dist dist
COPY package.json LICENSE ./
# Operators' verbs by their name: kubectl exec … -- espalier root list
RUN ln -s /app/dist/main.js /usr/local/bin/espalier
# The only place that is written to: give it a volume, and the rest may be read-only.
RUN mkdir /data && chown 1000:1000 /data && chmod 700 /data
VOLUME /data
WORKDIR /data
ENV NODE_ENV=production
USER 1000:1000
# A small young generation and one thread to collect it: short pauses, since every key that was verified is freed there. The old one is
# first collected at 64 MB, or what a start leaves behind would stay for as long as nothing more comes.
ENTRYPOINT ["node", "--max-semi-space-size=2", "--initial-old-space-size=64", "--single-threaded-gc", "/app/dist/main.js"]
CMD ["--help"]
